"""What a single decision needs to know of its mapping, and its record. How mappings change is in
`settling`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Column, ColumnElement, ScalarSelect, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action, Status
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.store.schema import decisions, mappings, targets
from llm_pipeline.store.settling import Act, Change, choose, settle

Value = TypeVar("Value")


def of_newest(column: Column[Value]) -> ScalarSelect[Value]:
    """What the newest decision about a mapping says, within a query of mappings."""
    return (
        select(column)
        .where(decisions.c.mapping_id == mappings.c.id)
        .order_by(decisions.c.id.desc())
        .limit(1)
        # Left to itself SQLAlchemy reads all mappings in a subquery within another.
        .correlate(mappings)
        .scalar_subquery()
    )


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


@dataclass(frozen=True, slots=True)
class Told:
    """Who decided last about a mapping, what and when; it reads as part of a sentence."""

    actor: str
    action: Action
    target: str | None
    at: datetime

    def __str__(self) -> str:
        what = self.action.value + (f" as {self.target}" if self.target else "")
        return f"{self.actor} decided {what!r} at {self.at:%Y-%m-%d %H:%M:%S} UTC"


def last(session: Session, mapping_id: int) -> Told | None:
    """Return the newest decision about a mapping."""
    d = decisions.c
    row = session.execute(
        select(d.actor, d.action, targets.c.key, d.decided_at)
        .select_from(decisions.outerjoin(targets, targets.c.id == d.target_id))
        .where(d.mapping_id == mapping_id)
        .order_by(d.id.desc())
        .limit(1)
    ).first()
    return None if row is None else Told(row[0], Action(row[1]), row[2], row[3])


def record(session: Session, change: Change, act: Act) -> int:
    """Apply a change to one mapping and return the id of the decision that is added for it."""
    choose(session, [change])
    try:
        settle(session, act)
    except IntegrityError as error:
        raise Conflict(
            f"mapping {change.mapping_id} cannot become {change.status.value}: "
            "another mapping of the same text already is; decide about that one"
        ) from error
    mine = select(func.max(decisions.c.id)).where(decisions.c.mapping_id == change.mapping_id)
    return session.scalar(mine) or 0


def undoable(session: Session, mapping_id: int) -> Undoable | None:
    """Return the newest decision about a mapping that is not itself an undo nor undone."""
    d = decisions.c
    row = session.execute(
        select(d.id, d.action, d.previous_status, d.previous_target_id, d.displaced_mapping_id)
        .where(d.mapping_id == mapping_id, is_no_undo(d.undoes), ~is_undone(d.id))
        .order_by(d.id.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return Undoable(row[0], Action(row[1]), Status(row[2]), row[3], row[4])


def is_no_undo(undoes: ColumnElement[int | None]) -> ColumnElement[bool]:
    """Whether a decision takes back no other, in words that no index answers: SQLite would take
    the unique one of `undoes` and find nearly all decisions in it."""
    return func.coalesce(undoes, 0) == 0


def is_undone(decision_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a decision was taken back."""
    undo_of_it = decisions.alias()
    return exists().where(undo_of_it.c.undoes == decision_id)


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
