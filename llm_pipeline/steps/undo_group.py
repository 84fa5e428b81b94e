"""Undo a decision about groups: all texts that stand as it left them wait again."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_pipeline.domain.center_events import GroupDecided
from llm_pipeline.domain.records import Action
from llm_pipeline.domain.review import Lease
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.store import group_decisions, leases, log, second_reviews
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.group_decisions import Made, Settled
from llm_pipeline.store.settling import Act

PAUSE_SECONDS = 0.005
HELD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class GroupUndone:
    """What was taken back; `left` texts were decided again since, or their text waits anew."""

    id: int
    mappings: int
    rows: int
    left: int


def undo_group(
    database: Database, group_id: int, actor: str, reason: str, clock: Callable[[], datetime]
) -> GroupUndone:
    """Take a decision about groups back, in chunks; whoever does so holds the groups.

    A first answer that waits for a second one is withdrawn. Raises NotFound, InvalidInput if that
    decision is itself an undo, and Conflict if nothing is left to take back.
    """
    with database.begin() as session:
        at = clock()
        undone = group_decisions.get(session, group_id)
        if undone.action is Action.UNDO:
            raise InvalidInput(f"decision {group_id} is an undo: decide about the groups again")
        act = _act(session, actor, reason, at)
        own_id = group_decisions.record(session, act, undone.keys, undoes=group_id)
        withdrawn = second_reviews.withdraw(session, group_id, at)
        chunks, done = group_decisions.chunks(session, group_id), Settled()
        while chunks and not done.mappings:
            done = _chunk(session, own_id, undone, chunks.pop(0), act)
        if not done.mappings and not withdrawn:
            raise Conflict(_nothing_left(session, undone, own_id))
        leases.unskip(session, actor, undone.keys)
        _hold(session, undone, actor, at)
    for offset in chunks:
        time.sleep(PAUSE_SECONDS)
        with database.begin() as session:
            act = _act(session, actor, reason, clock())
            done = done + _chunk(session, own_id, undone, offset, act)
    with database.read() as session:
        return GroupUndone(
            own_id, done.mappings, done.rows, group_decisions.standing(session, group_id)
        )


def _act(session: Session, actor: str, reason: str, at: datetime) -> Act:
    return Act(Action.UNDO, actor, reason, at, log.next_offset(session))


def _chunk(session: Session, own_id: int, undone: Made, offset: int, act: Act) -> Settled:
    made = group_decisions.undo_chunk(session, own_id, undone, offset, act)
    if made.mappings:
        told = GroupDecided(
            act.actor,
            own_id,
            act.action.value,
            undone.target,
            made.mappings,
            made.rows,
            made.displaced,
            act.reason,
        )
        log.append(session, act.at, told)
    return made


def _hold(session: Session, undone: Made, actor: str, at: datetime) -> None:
    held = leases.holders(session, undone.keys, at)
    free = [key for key in undone.keys if key not in held]
    leases.take(session, free, Lease(actor, at + HELD))


def _nothing_left(session: Session, undone: Made, own_id: int) -> str:
    who = group_decisions.undone_by(session, undone.id, own_id)
    why = f"{who} took it back" if who else "its texts were decided again, or wait anew"
    return f"decision {undone.id} by {undone.actor} cannot be undone: {why}"
