"""Decisions into the store: a mapping changes, a decision row is added, its live span is kept."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import LIVE, Action, Status
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.store.schema import decisions, live_spans, mappings, targets

_ENDS = {
    Action.APPROVE: "superseded",
    Action.CORRECT: "corrected",
    Action.REJECT: "rejected",
    Action.UNDO: "undone",
}


@dataclass(frozen=True, slots=True)
class Current:
    """What a decision is made about: a mapping, locked for the rest of the transaction."""

    id: int
    text: str
    normalized: str
    status: Status
    target_id: int | None
    proposed_target_id: int | None
    suggested_target_id: int | None
    probability: float | None
    model_version: str | None
    live_from: int | None
    version: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a mapping becomes, by whom and why."""

    action: Action
    status: Status
    target_id: int | None
    actor: str
    reason: str
    at: datetime
    offset: int
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Undoable:
    """The newest decision that can be undone, and what it had changed."""

    id: int
    action: Action
    previous_status: Status
    previous_target_id: int | None
    displaced_mapping_id: int | None


def lock(session: Session, mapping_id: int) -> Current:
    """Read a mapping and hold it until the transaction ends; `NotFound` if there is none."""
    m = mappings.c
    row = session.execute(
        select(
            m.id,
            m.text,
            m.normalized,
            m.status,
            m.target_id,
            m.proposed_target_id,
            m.suggested_target_id,
            m.probability,
            m.model_version,
            m.live_from,
            m.version,
        )
        .where(m.id == mapping_id)
        .with_for_update()
    ).first()
    if row is None:
        raise NotFound(f"there is no mapping {mapping_id}")
    fields = list(row)
    fields[3] = Status(fields[3])
    return Current(*fields)


def last_actor(session: Session, mapping_id: int) -> str:
    """Return who decided last about a mapping, or an empty string."""
    query = select(decisions.c.actor).where(decisions.c.mapping_id == mapping_id)
    return session.scalar(query.order_by(decisions.c.id.desc()).limit(1)) or ""


def record(session: Session, before: Current, change: Change) -> int:
    """Apply a change to a mapping and return the id of the decision that is added for it."""
    displaced = None
    if before.status in LIVE:
        _close_span(session, before, change.offset, _ENDS[change.action])
    if change.status in LIVE:
        displaced = _displace(session, before, change)
    _set(session, before.id, change)
    values = {
        "mapping_id": before.id,
        "action": change.action.value,
        "target_id": change.target_id,
        "actor": change.actor,
        "reason": change.reason,
        "previous_status": before.status.value,
        "previous_target_id": before.target_id,
        "displaced_mapping_id": displaced,
        "undoes": change.undoes,
        "suggested_target_id": before.suggested_target_id,
        "probability": before.probability,
        "model_version": before.model_version,
        "offset": change.offset,
        "decided_at": change.at,
    }
    decision_id = session.scalar(insert(decisions).values(values).returning(decisions.c.id))
    return decision_id or 0


def _set(session: Session, mapping_id: int, change: Change) -> None:
    values = {
        "status": change.status.value,
        "target_id": change.target_id,
        "live_from": change.offset if change.status in LIVE else None,
        "conflict": mappings.c.conflict if change.action is Action.SKIP else False,
        "version": mappings.c.version + 1,
        "updated_at": change.at,
    }
    try:
        session.execute(update(mappings).where(mappings.c.id == mapping_id).values(values))
    except IntegrityError as error:
        raise Conflict(
            f"mapping {mapping_id} cannot become {change.status.value}: "
            "another mapping of the same text already is; decide about that one"
        ) from error


def _displace(session: Session, before: Current, change: Change) -> int | None:
    m = mappings.c
    other = session.execute(
        select(m.id, m.target_id, m.live_from).where(
            m.normalized == before.normalized,
            m.status.in_([status.value for status in LIVE]),
            m.id != before.id,
        )
    ).first()
    if other is None:
        return None
    _close_span(session, other, change.offset, "superseded")
    session.execute(
        update(mappings)
        .where(m.id == other.id)
        .values(
            status=Status.RETIRED.value,
            live_from=None,
            version=m.version + 1,
            updated_at=change.at,
        )
    )
    return int(other.id)


def _close_span(session: Session, live: Any, live_to: int, ended_by: str) -> None:
    session.execute(
        insert(live_spans).values(
            mapping_id=live.id,
            target_id=live.target_id,
            live_from=live.live_from,
            live_to=live_to,
            ended_by=ended_by,
        )
    )


def revive(session: Session, mapping_id: int, at: datetime, offset: int) -> None:
    """Make a mapping live again that an undone decision had displaced."""
    session.execute(
        update(mappings)
        .where(mappings.c.id == mapping_id, mappings.c.status == Status.RETIRED.value)
        .values(
            status=Status.APPROVED.value,
            live_from=offset,
            version=mappings.c.version + 1,
            updated_at=at,
        )
    )


def undoable(session: Session, mapping_id: int) -> Undoable | None:
    """Return the newest decision about a mapping that is not itself an undo nor undone."""
    d = decisions.c
    undone = select(d.undoes).where(d.undoes.is_not(None))
    row = session.execute(
        select(d.id, d.action, d.previous_status, d.previous_target_id, d.displaced_mapping_id)
        .where(d.mapping_id == mapping_id, d.undoes.is_(None), d.id.not_in(undone))
        .order_by(d.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return Undoable(row[0], Action(row[1]), Status(row[2]), row[3], row[4])


def target_key(session: Session, target_id: int) -> str:
    """Return the key of a target by its id."""
    return str(session.scalars(select(targets.c.key).where(targets.c.id == target_id)).one())


def since(session: Session, offset: int) -> int:
    """Return how many decisions that teach (all but skips) were made after an offset."""
    query = (
        select(func.count())
        .select_from(decisions)
        .where(decisions.c.offset > offset, decisions.c.action != Action.SKIP.value)
    )
    return session.scalar(query) or 0
