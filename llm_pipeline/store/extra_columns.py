"""What the columns beside a text say: of its newest labelled submission, and of its newest one.

Nothing is read but the columns that are named.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import FromClause

from llm_pipeline.domain.extra import AMOUNT, MONTH, SOURCE, Extra
from llm_pipeline.domain.records import Status
from llm_pipeline.store.schema import submissions, uploads

_S = submissions.c
COLUMNS: tuple[ColumnElement[Any], ...] = (_S.amount, _S.source, _S.occurred_at, _S.extra)


def said(values: Sequence[Any], names: Sequence[str]) -> Extra:
    """Return the named values of a submission, given its `COLUMNS`; what it lacks is None.

    The month is that of the row's own time: when it arrived says nothing of it.
    """
    amount, source, at, own = values
    built_in = {AMOUNT: amount, SOURCE: source, MONTH: None if at is None else at.month}
    known = (own or {}) | built_in
    return {name: known.get(name) for name in names}


def of_live(
    session: Session, live: FromClause, as_of: int, names: Sequence[str]
) -> dict[int, Extra]:
    """Return, by mapping, the values of the newest submission that was labelled by `as_of`.

    `live` has mappings (`id`) and the offsets they are live from: what joined them later was
    checked by nobody, unless its file is trusted.
    """
    trusted = uploads.c.lands_as == Status.APPROVED.value
    newest = (
        select(func.max(_S.id))
        .join(live, live.c.id == _S.mapping_id)
        .outerjoin(uploads, uploads.c.id == _S.upload_id)
        .where(_S.received_offset <= as_of, or_(trusted, _S.received_offset < live.c.live_from))
        .group_by(_S.mapping_id)
    )
    return _of(session, _S.id.in_(newest), names)


def of_mappings(
    session: Session, mapping_ids: Sequence[int], names: Sequence[str]
) -> dict[int, Extra]:
    """Return, by mapping, the values of its newest submission."""
    if not names or not mapping_ids:
        return {}
    newest = select(func.max(_S.id)).where(_S.mapping_id.in_(mapping_ids)).group_by(_S.mapping_id)
    return _of(session, _S.id.in_(newest), names)


def _of(session: Session, which: ColumnElement[bool], names: Sequence[str]) -> dict[int, Extra]:
    query = select(_S.mapping_id, *COLUMNS).where(which)
    return {row.mapping_id: said(row[1:], names) for row in session.execute(query)}
