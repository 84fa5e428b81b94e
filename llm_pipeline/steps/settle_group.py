"""Settle a group: one decision about all texts of it that a reviewer saw, and of groups near to it.

A share of groups is answered by two people, neither of whom sees what the other said. The first
answer only is kept and changes nothing: the group goes on waiting as if nobody had answered, so
that nothing on the way to the second reviewer can give the first answer away (a text that was
approved at once would be recognised with certainty), and no text goes live that one of the two
would not have approved. When both say the same, the second answer settles the group; when they do
not, it waits as a dispute, with both answers shown, for a third person or an admin.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from llm_pipeline.domain.agreement import is_drawn
from llm_pipeline.domain.center_events import GroupDecided, OpinionGiven
from llm_pipeline.domain.event import Event
from llm_pipeline.domain.records import Action
from llm_pipeline.domain.review import Lease, Seen
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.store import activity, catalogue, group_decisions, leases, log, second_reviews
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.group_decisions import Member, Settled
from llm_pipeline.store.settling import Act

# A writer holds the database while it settles a chunk; others get a turn after each.
CHUNK = 2_000
PAUSE_SECONDS = 0.005
HELD_MEANWHILE = timedelta(minutes=10)

_ALLOWED = (Action.APPROVE, Action.CORRECT, Action.REJECT, Action.SKIP)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a person said of groups as they saw them, the main one first; `share` of groups is
    answered by two, and who may `overrule` settles a dispute that they are part of."""

    action: Action
    actor: str
    seen: tuple[Seen, ...]
    target: str | None = None
    reason: str = ""
    share: float = 0.0
    overrule: bool = False


@dataclass(frozen=True, slots=True)
class GroupSettled:
    """What a ruling changed. `arrived` texts came to these groups since they were seen, `changed`
    ones changed while a large group was settled: both go on waiting, as do groups that wait
    `for_second` or are `disputed`."""

    id: int
    mappings: int = 0
    rows: int = 0
    displaced: int = 0
    arrived: int = 0
    changed: int = 0
    for_second: tuple[str, ...] = ()
    disputed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Work:
    """What is to be settled, as far as it is known after the first transaction began."""

    ruling: Ruling
    target_id: int | None
    target: str | None
    members: list[Member]
    done: GroupSettled


def settle_group(database: Database, ruling: Ruling, clock: Callable[[], datetime]) -> GroupSettled:
    """Apply a ruling; large groups in several transactions, each with its event.

    Raises Conflict, with who decided what and when, if a text that was seen changed or somebody
    else holds the group; nothing was changed then. Raises InvalidInput or UnknownTarget where a
    target is needed and not there.
    """
    with database.begin() as session:
        work = _begin(session, ruling, clock())
        _chunk(session, work, work.members[:CHUNK], clock())
        if len(work.members) <= CHUNK:
            _end(session, ruling)
            return work.done
    for first in range(CHUNK, len(work.members), CHUNK):
        time.sleep(PAUSE_SECONDS)
        with database.begin() as session:
            some = work.members[first : first + CHUNK]
            still = group_decisions.unchanged(session, some)
            work.done = replace(work.done, changed=work.done.changed + len(some) - len(still))
            _chunk(session, work, still, clock())
    with database.begin() as session:
        _end(session, ruling)
    return work.done


def _begin(session: Session, ruling: Ruling, at: datetime) -> _Work:
    keys = _keys(ruling)
    leases.demand(session, keys, ruling.actor, at)
    members = {seen.key: group_decisions.members(session, seen) for seen in ruling.seen}
    target_id = _target_id(session, ruling)
    act = _act(session, ruling, at)
    group_id = group_decisions.record(session, act, keys, target_id)
    settled, for_second, disputed = _opinions(session, ruling, target_id, group_id, at)
    if ruling.action is Action.SKIP:
        leases.skip(session, ruling.actor, keys, at)
    leases.take(session, keys, Lease(ruling.actor, at + HELD_MEANWHILE))
    return _Work(
        ruling,
        target_id,
        group_decisions.get(session, group_id).target,
        [member for key in settled for member in members[key]],
        GroupSettled(
            group_id,
            arrived=sum(group_decisions.arrived_since(session, seen) for seen in ruling.seen),
            for_second=tuple(for_second),
            disputed=tuple(disputed),
        ),
    )


def _keys(ruling: Ruling) -> list[str]:
    if ruling.action not in _ALLOWED:
        raise InvalidInput(
            f"a group cannot be decided with {ruling.action.value!r}; "
            f"choose one of {', '.join(action.value for action in _ALLOWED)}"
        )
    keys = [seen.key for seen in ruling.seen]
    if not keys or len(set(keys)) < len(keys):
        raise InvalidInput("name every group once, and at least one")
    return keys


def _target_id(session: Session, ruling: Ruling) -> int | None:
    """The target named, else the one that was offered for the main group."""
    if ruling.action in (Action.REJECT, Action.SKIP):
        return None
    if ruling.target is not None:
        return catalogue.active_target(session, ruling.target)
    main = ruling.seen[0]
    if ruling.action is Action.CORRECT or main.offered is None:
        raise InvalidInput(
            f"{ruling.action.value} of the group {main.key!r} needs a target: "
            "nothing is offered for it, or something else is right"
        )
    return catalogue.still_active(session, main.offered)


def _act(session: Session, ruling: Ruling, at: datetime) -> Act:
    return Act(ruling.action, ruling.actor, ruling.reason, at, log.next_offset(session))


def _opinions(
    session: Session, ruling: Ruling, target_id: int | None, group_id: int, at: datetime
) -> tuple[list[str], list[str], list[str]]:
    """Keys of groups that this answer settles, that wait for another one, that are disputed."""
    found: tuple[list[str], list[str], list[str]] = [], [], []
    spoken = 0
    for seen in ruling.seen:
        standing = second_reviews.standing(session, seen.key, seen.lot)
        place = 0
        if ruling.action is not Action.SKIP:
            if standing is not None:
                place = _beside(session, ruling, standing, target_id, group_id, at)
                spoken += 1
            elif is_drawn(seen.key, seen.lot, ruling.share):
                second_reviews.begin(session, seen.key, seen.lot, group_id, at)
                place, spoken = 1, spoken + 1
        found[place].append(seen.key)
    activity.add(session, at, ruling.actor, {activity.OPINION: spoken})
    if spoken:
        told = OpinionGiven(ruling.actor, group_id, spoken, len(found[2]))
        log.append(session, at, told)
    return found


def _beside(
    session: Session,
    ruling: Ruling,
    standing: second_reviews.Standing,
    target_id: int | None,
    group_id: int,
    at: datetime,
) -> int:
    """Put an answer beside the first one; 0 if the group is settled by it, 2 if it is disputed."""
    before = [one.actor for one in (standing.first, standing.second) if one is not None]
    disputed = standing.second is not None
    if ruling.actor in before and not (disputed and ruling.overrule):
        raise Conflict(
            f"{ruling.actor} has answered one of these groups already; "
            f"it waits for {'a third' if disputed else 'a second'} reviewer"
        )
    if not disputed:
        agreed = standing.first.target_id == target_id
        second_reviews.answer(session, standing, group_id, agreed=agreed)
        if not agreed:
            return 2
    second_reviews.close(session, standing, at)
    return 0


def _chunk(session: Session, work: _Work, some: Sequence[Member], at: datetime) -> None:
    if not some:
        return
    ruling, done = work.ruling, work.done
    act = _act(session, ruling, at)
    made = group_decisions.settle_chunk(session, done.id, act, some, work.target_id)
    leases.renew(session, ruling.actor, at + HELD_MEANWHILE)
    log.append(session, at, _event(work, made))
    work.done = replace(
        done,
        mappings=done.mappings + made.mappings,
        rows=done.rows + made.rows,
        displaced=done.displaced + made.displaced,
    )


def _event(work: _Work, made: Settled) -> Event:
    ruling = work.ruling
    return GroupDecided(
        ruling.actor,
        work.done.id,
        ruling.action.value,
        work.target,
        made.mappings,
        made.rows,
        made.displaced,
        ruling.reason,
    )


def _end(session: Session, ruling: Ruling) -> None:
    """Give the groups back, and those that were offered along with them."""
    leases.release(session, ruling.actor, [seen.key for seen in ruling.seen])
