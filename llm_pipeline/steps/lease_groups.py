"""Lease groups: a reviewer takes the next ones that nobody holds, each with those near to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_pipeline.domain.review import Group, Lease, Order
from llm_pipeline.store import groups_shown, leases, near_groups, queue
from llm_pipeline.store.engine import Session


@dataclass(frozen=True, slots=True)
class Wish:
    """How many groups somebody wants to hold, which first, and for how long."""

    holder: str
    order: Order = Order.VALUE
    groups: int = 1
    lasts: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Leased:
    """A group with those near to it that a decision may settle along with it."""

    group: Group
    near: tuple[Group, ...]


def lease_groups(session: Session, wish: Wish, at: datetime) -> list[Leased]:
    """Renew what a reviewer holds, take the next groups until they hold as many as they wish, and
    return all of them.

    The session must be a writing one, or two could take the same group.
    """
    lease = Lease(wish.holder, at + wish.lasts)
    leases.tidy(session, wish.holder, at)
    leases.renew(session, wish.holder, lease.expires_at)
    mine = leases.own(session, wish.holder)
    missing = wish.groups - len(mine)
    if missing > 0:
        new = queue.next_free(session, wish.order, wish.holder, at, missing)
        leases.take(session, new, lease)
        mine |= _take_near(session, new, lease, at)
    return _shown(session, mine, at)


def with_near(session: Session, keys: Sequence[str], at: datetime) -> list[Leased]:
    """Return groups as they would be leased, without taking them."""
    return _shown(session, near_groups.near(session, keys), at)


def _take_near(
    session: Session, keys: Sequence[str], lease: Lease, at: datetime
) -> dict[str, list[str]]:
    """Hold what is near to groups that were just taken, where it is free and offers the same."""
    found = near_groups.near(session, keys)
    taken: dict[str, list[str]] = {}
    for one in _shown(session, found, at):
        others = {key for keys in taken.values() for key in keys}
        free = [g.key for g in one.near if g.lease is None and g.key not in others]
        free = queue.without_answered(session, lease.holder, free)
        leases.take(session, free, lease, led_by=one.group.key)
        taken[one.group.key] = free
    return taken


def _shown(session: Session, near: dict[str, list[str]], at: datetime) -> list[Leased]:
    mains = groups_shown.shown(session, list(near), at)
    others = [key for keys in near.values() for key in keys]
    led = {group.key: group for group in groups_shown.shown(session, others, at)}
    return [
        Leased(
            main,
            tuple(
                led[key]
                for key in near[main.key]
                if key in led and led[key].seen.offered == main.seen.offered
            ),
        )
        for main in mains
    ]
