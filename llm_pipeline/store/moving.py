"""Mappings that follow a target which leaves the catalogue: what hangs on it, and the next of them
taken along, a chunk per transaction.
"""

import hashlib
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    case,
    exists,
    literal,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.store import touched
from llm_pipeline.store.columns import Id
from llm_pipeline.store.schema import LIVE_STATUSES, PENDING_STATUS, mappings, targets
from llm_pipeline.store.schema_derived import target_counts
from llm_pipeline.store.settling import Act, choose, settle

_M = mappings.c
_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Impact:
    """What hangs on a target: mappings and their submissions by status, a few texts of them, and a
    token that says which state of affairs this was."""

    mappings: dict[str, int]
    rows: dict[str, int]
    examples: list[str]
    token: str

    @property
    def live(self) -> int:
        return sum(self.mappings.get(status.value, 0) for status in _LIVE)

    @property
    def waiting(self) -> int:
        return self.mappings.get(Status.PENDING.value, 0)


_LIVE = (Status.APPROVED, Status.AUTO_APPROVED)


@dataclass(frozen=True, slots=True)
class Step:
    """A chunk that was moved: how many mappings, and the id of the last, where the next begins."""

    number: int
    last: int


def impact(session: Session, target_id: int) -> Impact:
    """Return what hangs on a target; the counts are kept, so that it costs the same for any."""
    t = target_counts.c
    query = select(t.status, t.mappings, t.rows).where(t.target_id == target_id, t.mappings > 0)
    found = session.execute(query.order_by(t.status)).all()
    changed = session.scalar(select(targets.c.changed_offset).where(targets.c.id == target_id))
    told = "|".join(f"{row.status}:{row.mappings}:{row.rows}" for row in found)
    return Impact(
        mappings={row.status: row.mappings for row in found},
        rows={row.status: row.rows for row in found},
        examples=_examples(session, target_id) if found else [],
        token=hashlib.sha256(f"{target_id}|{changed}|{told}".encode()).hexdigest()[:16],
    )


def _examples(session: Session, target_id: int) -> list[str]:
    found = select(_M.text).where(_is_live(), _M.target_id == target_id)
    return list(session.scalars(found.order_by(_M.id.desc()).limit(_EXAMPLES)))


def _is_live() -> ColumnElement[bool]:
    return text(f"mappings.{LIVE_STATUSES}")  # type: ignore[return-value]


def take_along(session: Session, old: int, new: int, act: Act, after: int, limit: int) -> Step:
    """Correct the next live mappings of a target to another one.

    The ids ascend: `after` is where the chunk before ended.
    """
    chosen = (
        select(_M.id, _M.status, literal(new, Id), null(), null())
        .where(_is_live(), _M.target_id == old, _M.id > after)
        .order_by(_M.id)
        .limit(limit)
    )
    return _settled(session, choose(session, chosen), act)


def let_wait(session: Session, old: int, act: Act, after: int, limit: int) -> Step:
    """Send the next live mappings of a target back to review.

    A text that waits already is not asked twice: its live mapping is retired.
    """
    other = mappings.alias("other")
    waits = exists().where(other.c.normalized == _M.normalized, text(f"other.{PENDING_STATUS}"))
    status = case((waits, Status.RETIRED.value), else_=Status.PENDING.value)
    chosen = (
        select(_M.id, status, null(), null(), null())
        .where(_is_live(), _M.target_id == old, _M.id > after)
        .order_by(_M.id)
        .limit(limit)
    )
    return _settled(session, choose(session, chosen), act)


def _settled(session: Session, number: int, act: Act) -> Step:
    last = session.scalar(text("SELECT max(mapping_id) FROM chosen_mappings")) or 0
    if number:
        settle(session, act)
    return Step(number, last)


def propose_instead(session: Session, old: int, new: int | None, after: int, limit: int) -> Step:
    """Let the next mappings that wait propose another target, or none.

    Suggestions of the old target go too: whatever is recognised next suggests its successor.
    """
    concerned = or_(_M.proposed_target_id == old, _M.suggested_target_id == old)
    found = list(
        session.scalars(
            select(_M.id)
            .where(text(f"mappings.{PENDING_STATUS}"), concerned, _M.id > after)
            .order_by(_M.id)
            .limit(limit)
        )
    )
    if not found:
        return Step(0, after)
    with touched.changing(session, found):
        session.execute(
            update(mappings)
            .where(_M.id.in_(found))
            .values(
                proposed_target_id=_instead(_M.proposed_target_id, old, new),
                suggested_target_id=_instead(_M.suggested_target_id, old, new),
                version=_M.version + 1,
            )
            .execution_options(synchronize_session=False)
        )
    return Step(len(found), found[-1])


def _instead(column: ColumnElement[int | None], old: int, new: int | None) -> ColumnElement[int]:
    return case((column == old, literal(new, Id)), else_=column)
