"""Lots: which submissions are audited, drawn before anything is known of their answers.

Every submission takes part in one lot. Those of a mapping that take part together are one audit,
drawn with probability 1 - (1 - share)^n for n of them.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, insert, or_, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.approval import (
    REPEATS,
    inclusion_probability,
    single_probability,
)
from llm_pipeline.domain.automation import AuditKind, drawn_positions, stratum_of
from llm_pipeline.domain.records import LIVE, Status
from llm_pipeline.store.decisions import of_newest
from llm_pipeline.store.schema import decisions, mappings, submissions, uploads
from llm_pipeline.store.schema_automation import audit_lots, audits

# Ids are looked up this many at a time.
AT_ONCE = 500

_m, _s = mappings.c, submissions.c
# In words that no index answers, or SQLite begins with all that waits and looks up its submissions.
_status = _m.status.concat("")


@dataclass(frozen=True, slots=True)
class Lot:
    """A draw among the submissions behind `after_id`, up to `upto_id`: `drawn` audits of it."""

    id: int
    share: float
    after_id: int
    upto_id: int
    drawn: int


@dataclass(frozen=True, slots=True)
class Draw:
    """How a lot is drawn: the share of submissions, and the time people have to answer."""

    share: float
    due: timedelta
    dice: random.Random


def draw(session: Session, how: Draw, at: datetime) -> Lot | None:
    """Let every submission since the last lot take part in one; None if there are none.

    In the first lot only what waits: the repeats of all years before would be too many at once.
    How sure memory was of repeats is told by `holding.score`.
    """
    waits = undrawn(session)
    if not waits:
        return None
    after, upto = waits[0] - 1, waits[-1]
    held = 0 if after == 0 else None
    new = {"upto_id": upto, "share": how.share, "drawn": 0, "drawn_at": at, "held": held}
    lot_id = session.scalar(insert(audit_lots).values(new).returning(audit_lots.c.id)) or 0
    chosen = [after + 1 + n for n in drawn_positions(upto - after, how.share, how.dice)]
    hits: Counter[int] = Counter()
    for some in _chunks(chosen):
        of_all = _answered_for(some)
        if after == 0:
            of_all = of_all.where(_status == Status.PENDING.value)
        hits.update(session.scalars(of_all))
    for some in _chunks(sorted(hits)):
        rows = session.execute(_groups(some, after, upto))
        same = {"lot_id": lot_id, "sampled_at": at, "due_at": at + how.due}
        new_audits = [_audit(row, hits[row.id], how) | same for row in rows]
        session.execute(insert(audits), new_audits)
    session.execute(update(audit_lots).where(audit_lots.c.id == lot_id).values(drawn=len(hits)))
    return Lot(lot_id, how.share, after, upto, len(hits))


def undrawn(session: Session) -> range:
    """Return the ids of the submissions that took part in no lot yet."""
    after = session.scalar(select(func.max(audit_lots.c.upto_id))) or 0
    return range(after + 1, (session.scalar(select(func.max(_s.id))) or 0) + 1)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[first : first + AT_ONCE] for first in range(0, len(ids), AT_ONCE))


def _answered_for(chosen: Sequence[int]) -> Select[tuple[int]]:
    """The mapping of each chosen submission that the system has to answer for."""
    joined = submissions.join(mappings, _m.id == _s.mapping_id)
    return (
        select(_m.id)
        .select_from(joined.outerjoin(uploads, uploads.c.id == _s.upload_id))
        .where(_s.id.in_(chosen), needs_answer(_s, uploads.c))
    )


def needs_answer(s: Any, u: Any) -> ColumnElement[bool]:
    """Whether the system has to answer for a submission: not for trusted labels, nor for what
    waited until a person decided, nor for texts that were rejected."""
    return and_(
        or_(u.lands_as.is_(None), u.lands_as != Status.APPROVED.value),
        or_(
            _status.in_([Status.PENDING.value, Status.AUTO_APPROVED.value]),
            and_(_status == Status.APPROVED.value, s.received_offset >= _m.live_from),
        ),
    )


def _groups(ids: Sequence[int], after: int, upto: int) -> Select[Any]:
    """Each mapping as it stands, with how many submissions of it take part."""
    s, u = submissions.alias("part"), uploads.alias("sent")
    number = (
        select(func.count())
        .select_from(s.outerjoin(u, u.c.id == s.c.upload_id))
        .where(s.c.mapping_id == _m.id, s.c.id > after, s.c.id <= upto, needs_answer(s.c, u.c))
        .correlate(mappings)
        .scalar_subquery()
    )
    return select(
        _m.id,
        case((_m.status.in_([status.value for status in LIVE]), _m.target_id)).label("target_id"),
        _m.status,
        _m.evidence,
        _m.probability,
        _m.model_version,
        (_m.proposed_target_id == _m.target_id).label("proposed"),
        number.label("rows"),
        of_newest(decisions.c.policy_id).label("policy_id"),
    ).where(_m.id.in_(ids))


def _audit(row: Any, hits: int, how: Draw) -> dict[str, Any]:
    inclusion = inclusion_probability(row.rows, how.share)
    single = single_probability(row.rows, inclusion)
    # Below `single` exactly when one submission was drawn, as whoever weighs the audits needs it.
    low, high = (0.0, single) if hits == 1 else (single, inclusion)
    found: dict[str, Any] = {
        "mapping_id": row.id,
        "rows": row.rows,
        "inclusion_probability": inclusion,
        "lot": low + how.dice.random() * (high - low),
        "kind": AuditKind.ARRIVAL.value,
        "answer_target_id": None,
        "policy_id": None,
        "stratum": None,
        "score": None,
        "model_version": None,
    }
    if row.status == Status.PENDING.value:
        return found
    by_policy = row.policy_id is not None and row.evidence is not None
    return found | {
        "kind": AuditKind.REPEAT.value,
        "answer_target_id": row.target_id,
        "policy_id": row.policy_id,
        "stratum": stratum_of(row.evidence, proposed=bool(row.proposed)) if by_policy else REPEATS,
        "score": row.probability if by_policy else None,
        "model_version": row.model_version if by_policy else None,
    }
