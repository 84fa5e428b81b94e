"""Live mappings whose label is in doubt: the newest list, and what a person said of it.

A doubt stands while its mapping has the label that was doubted, untouched since the offset it was
found at; a decision about the mapping ends it without a word here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import LIVE
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.store.schema import mappings, targets
from llm_pipeline.store.schema_operations import label_errors

_E = label_errors.c
_M = mappings.c
_UNDECIDED = and_(
    _M.id == _E.mapping_id,
    _M.status.in_([status.value for status in LIVE]),
    _M.target_id == _E.target_id,
    _M.live_from <= _E.found_offset,
)
_STANDS = and_(_UNDECIDED, _E.dismissed_at.is_(None))
# SQLite would begin with all that is live; ids are looked up without an index.
_BY_ID = ("NOT INDEXED", "sqlite")


@dataclass(frozen=True, slots=True)
class NewLabelError:
    """A mapping whose label is in doubt, with keys of the catalogue and texts that speak for the
    suggested one."""

    mapping_id: int
    target: str
    suggested_target: str
    score: float
    reason: str
    examples: Sequence[dict[str, str]]


@dataclass(frozen=True, slots=True)
class LabelError:
    """A doubt as it stands, with the mapping's `version` for whoever decides about it."""

    id: int
    mapping_id: int
    text: str
    target: str
    suggested_target: str
    score: float
    reason: str
    examples: list[dict[str, str]]
    rows: int
    version: int
    found_offset: int
    found_at: datetime


def replace(session: Session, found: Sequence[NewLabelError], offset: int, at: datetime) -> int:
    """Put a new list, in its order, in place of the last one and return how many now stand.

    What a person dismissed stays away until the label changes.
    """
    session.execute(delete(label_errors).where(_E.dismissed_at.is_(None)))
    undecided = exists().where(_UNDECIDED).correlate(label_errors)
    session.execute(delete(label_errors).where(~undecided))
    dismissed = set(session.scalars(select(_E.mapping_id)))
    ids = {row.key: row.id for row in session.execute(select(targets.c.key, targets.c.id))}
    rows = [
        {
            "mapping_id": one.mapping_id,
            "target_id": ids[one.target],
            "suggested_target_id": ids[one.suggested_target],
            "score": one.score,
            "reason": one.reason,
            "examples": list(one.examples),
            "found_offset": offset,
            "found_at": at,
        }
        for one in found
        if one.mapping_id not in dismissed
    ]
    if rows:
        session.execute(insert(label_errors), rows)
    return count(session)


def page(session: Session, after: int | None, limit: int) -> list[LabelError]:
    """Return the doubts that stand, the surest first, from the one after the id `after`."""
    given, suggested = targets.alias("given"), targets.alias("suggested")
    query: Select[Any] = (
        select(
            _E.id,
            _E.mapping_id,
            _M.text,
            given.c.key.label("target"),
            suggested.c.key.label("suggested_target"),
            _E.score,
            _E.reason,
            _E.examples,
            _M.rows,
            _M.version,
            _E.found_offset,
            _E.found_at,
        )
        .select_from(
            label_errors.join(mappings, _M.id == _E.mapping_id)
            .join(given, given.c.id == _E.target_id)
            .join(suggested, suggested.c.id == _E.suggested_target_id)
        )
        .with_hint(mappings, *_BY_ID)
        .where(_STANDS, _E.id > (after or 0))
        .order_by(_E.id)
        .limit(limit)
    )
    return [LabelError(*row) for row in session.execute(query)]


def count(session: Session) -> int:
    """Return how many doubts stand."""
    joined = label_errors.join(mappings, _M.id == _E.mapping_id)
    query = select(func.count()).select_from(joined).with_hint(mappings, *_BY_ID)
    return session.scalar(query.where(_STANDS)) or 0


def dismiss(session: Session, mapping_id: int, actor: str, at: datetime) -> str:
    """Keep a doubt away while the label stays, and return that label's key.

    Raises NotFound if there is no such doubt, and Conflict if somebody decided or dismissed first.
    """
    row = session.execute(
        select(_E.dismissed_by, targets.c.key, exists().where(_UNDECIDED).correlate(label_errors))
        .join(targets, targets.c.id == _E.target_id)
        .where(_E.mapping_id == mapping_id)
    ).first()
    if row is None:
        raise NotFound(f"the label of mapping {mapping_id} is not in doubt")
    dismissed_by, key, undecided = row
    if dismissed_by is not None or not undecided:
        who = f"{dismissed_by} dismissed it" if undecided else "its mapping was decided since"
        raise Conflict(f"the doubt about mapping {mapping_id} is over: {who}; read the list again")
    session.execute(
        update(label_errors)
        .where(_E.mapping_id == mapping_id)
        .values(dismissed_at=at, dismissed_by=actor)
    )
    return str(key)
