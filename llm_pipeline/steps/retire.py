"""Retire: a target leaves the catalogue, alone or into another one; its mappings follow."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from llm_pipeline.domain.center_events import (
    MappingsMoved,
    TargetRestored,
    TargetRetired,
    TargetsLoaded,
)
from llm_pipeline.domain.records import Action, Target
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.store import catalogue, log, moving
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.settling import Act

Clock = Callable[[], datetime]

CHUNK = 5_000
_ALIAS_SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to leave, into what if anything, by whom and why; `token` is of the impact that was
    shown, so that nobody decides about another state of affairs."""

    key: str
    into: str | None
    token: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Retired:
    """How many live mappings moved or went back to review, and how many waiting ones changed."""

    moved: int
    reopened: int
    waiting: int


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A target on its way out: ids, and the words for each decision."""

    old: int
    new: int | None
    reason: str


def retire(database: Database, order: Order, clock: Clock) -> Retired:
    """Retire a target, then take its mappings along, a transaction per chunk.

    With `into`, live mappings are corrected to it and its names become aliases of it; without, they
    wait for review again. Called again after an interruption, it goes on. Raises NotFound, Conflict
    if something changed since the impact was shown, InvalidInput for a target into itself.
    """
    with database.begin() as session:
        leaving = _begin(session, order, clock())
    propose = partial(_propose, order, leaving, clock)
    waiting = _chunks(database, propose)
    live = _chunks(database, partial(_move, order, leaving, clock))
    if leaving.new is not None:
        return Retired(live, 0, waiting)
    _chunks(database, propose)  # those that wait again were proposed for it once
    return Retired(0, live, waiting)


def rename(database: Database, order: Order, clock: Clock) -> Retired:
    """Give a target another key, `order.into`: a new entry takes everything over.

    What was learned and logged under the old key stays true; the old key stays retired.
    """
    with database.begin() as session:
        before, into = catalogue.get(session, order.key), order.into or ""
        _demand_seen(session, before, order)
        if into in catalogue.retired_keys(session):
            raise Conflict(
                f"target {into!r} is retired: restore it, then merge {order.key!r} into it"
            )
        if into in catalogue.active_ids(session):
            raise Conflict(f"target {into!r} is there already; merge {order.key!r} into it instead")
        entry = Target(into, before.name, before.category, before.attributes)
        loaded = catalogue.load(session, [entry], log.next_offset(session))
        log.append(session, clock(), TargetsLoaded(order.actor, 1, 0, loaded.total))
    return retire(database, order, clock)


def restore(session: Session, key: str, actor: str, at: datetime) -> None:
    """Let a retired target be chosen again; mappings that moved stay where they are."""
    if not catalogue.get(session, key).retired:
        raise InvalidInput(f"target {key!r} is not retired")
    catalogue.restore(session, key, log.next_offset(session))
    log.append(session, at, TargetRestored(actor, key))


def _begin(session: Session, order: Order, at: datetime) -> _Leaving:
    entry = catalogue.get(session, order.key)
    if order.into == order.key:
        raise InvalidInput(f"target {order.key!r} cannot be merged into itself")
    new = None if order.into is None else catalogue.active_target(session, order.into)
    reason = order.reason or (f"merged into {order.into}" if order.into else "target retired")
    leaving = _Leaving(entry.id, new, reason)
    if entry.retired and entry.merged_into == order.into:
        return leaving  # it was interrupted, or some mapping came in between
    _demand_seen(session, entry, order)
    if entry.retired:
        raise Conflict(f"target {order.key!r} is retired already; restore it first")
    catalogue.retire(session, [order.key], at, log.next_offset(session), new)
    if order.into is not None:
        _inherit(session, entry, catalogue.get(session, order.into))
    log.append(session, at, TargetRetired(order.actor, order.key, order.into, reason))
    return leaving


def _demand_seen(session: Session, entry: catalogue.CatalogueEntry, order: Order) -> None:
    if moving.impact(session, entry.id).token != order.token:
        raise Conflict(
            f"what hangs on target {order.key!r} has changed since it was shown; look again"
        )


def _inherit(
    session: Session, old: catalogue.CatalogueEntry, new: catalogue.CatalogueEntry
) -> None:
    """Let the names of what left be aliases of what took its place."""
    aliases = new.attributes.get("aliases", "").split(_ALIAS_SEPARATOR)
    told = [*aliases, old.name, *old.attributes.get("aliases", "").split(_ALIAS_SEPARATOR)]
    kept = list(dict.fromkeys(name for name in told if name and name != new.name))
    if kept:
        attributes = new.attributes | {"aliases": _ALIAS_SEPARATOR.join(kept)}
        entry = Target(new.key, new.name, new.category, attributes)
        catalogue.load(session, [entry], log.next_offset(session))


def _move(
    order: Order, leaving: _Leaving, clock: Clock, session: Session, after: int
) -> moving.Step:
    action = Action.REOPEN if leaving.new is None else Action.CORRECT
    at, offset = clock(), log.next_offset(session)
    act = Act(action, order.actor, leaving.reason, at, offset, follows=True)
    if leaving.new is None:
        done = moving.let_wait(session, leaving.old, act, after, CHUNK)
    else:
        done = moving.take_along(session, leaving.old, leaving.new, act, after, CHUNK)
    if done.number:
        told = MappingsMoved(order.actor, order.key, order.into, done.number, 0)
        log.append(session, act.at, told)
    return done


def _propose(
    order: Order, leaving: _Leaving, clock: Clock, session: Session, after: int
) -> moving.Step:
    done = moving.propose_instead(session, leaving.old, leaving.new, after, CHUNK)
    if done.number:
        told = MappingsMoved(order.actor, order.key, order.into, 0, done.number)
        log.append(session, clock(), told)
    return done


def _chunks(database: Database, step: Callable[[Session, int], moving.Step]) -> int:
    """Run a step, a transaction each time, until nothing is left; return what it changed."""
    total = after = 0
    while True:
        with database.begin() as session:
            done = step(session, after)
        if not done.number:
            return total
        total, after = total + done.number, done.last
