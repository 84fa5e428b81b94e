"""What people at the queue did, as their answers tell it, and whether the store agrees."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import text

from center.standing import miscounted
from center.stores import opened
from llm_pipeline.config import Settings

SETTLES = {"approve": "approved", "correct": "approved", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Held:
    """A time in which somebody could rely on a group being theirs."""

    key: str
    who: str
    since: float
    until: float


@dataclass(slots=True)
class Deeds:
    """What one person did.

    `leases` are keys with when they began and expire, `ended` says when a group was let go, `done`
    from when to when a decision about a group took that was not refused.
    """

    who: str
    leases: list[tuple[str, float, float]] = field(default_factory=list)
    ended: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    done: list[Held] = field(default_factory=list)
    decided: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    def held(self) -> list[Held]:
        """Return the times for which leases held: until they expired, or were used before."""
        found = []
        for key, since, expires in self.leases:
            over = [moment for moment in self.ended[key] if moment >= since]
            found.append(Held(key, self.who, since, min([expires, *over])))
        return found


def held_by_two(everybody: list[Deeds]) -> int:
    """Count the times at which two people held the same group."""
    by_key: dict[str, list[Held]] = defaultdict(list)
    for deeds in everybody:
        for one in deeds.held():
            by_key[one.key].append(one)
    wrong = 0
    for times in by_key.values():
        ordered = sorted(times, key=lambda one: one.since)
        wrong += sum(
            earlier.who != later.who and later.since < earlier.until
            for place, earlier in enumerate(ordered)
            for later in ordered[place + 1 :]
        )
    return wrong


def done_though_held(everybody: list[Deeds]) -> int:
    """Count decisions about a group that somebody else held all the while."""
    held: dict[str, list[Held]] = defaultdict(list)
    for deeds in everybody:
        for one in deeds.held():
            held[one.key].append(one)
    return sum(
        one.who != done.who and one.since <= done.since and done.until <= one.until
        for deeds in everybody
        for done in deeds.done
        for one in held[done.key]
    )


def wrong_in_store(settings: Settings, everybody: list[Deeds]) -> dict[str, int]:
    """Compare what was answered with what is stored; every number should be 0."""
    lives, statuses = _lives(settings)
    told: Counter[str] = sum((deeds.decided for deeds in everybody), Counter())
    stored = Counter(action for actions in lives.values() for action in actions)
    return {
        "decided twice": sum(_twice(actions) for actions in lives.values()),
        "answered but not stored, or stored but not answered": sum(
            abs(told[action] - stored[action]) for action in {*told, *stored}
        ),
        "not where their last decision put them": sum(
            statuses[mapping] != _ends_as(lives.get(mapping, [])) for mapping in statuses
        ),
        "counters that differ from a recount": len(miscounted(settings)),
    }


def _lives(settings: Settings) -> tuple[dict[int, list[str]], dict[int, str]]:
    """Return what was decided of each mapping, in order, and how it stands."""
    lives: dict[int, list[str]] = defaultdict(list)
    with opened(settings) as database, database.read() as session:
        rows = session.execute(text("SELECT mapping_id, action FROM decisions ORDER BY id"))
        for mapping, action in rows:
            lives[mapping].append(action)
        standing = session.execute(text("SELECT id, status FROM mappings"))
        return lives, {row.id: row.status for row in standing}


def _twice(actions: list[str]) -> int:
    """Count decisions that followed another one which had not been undone."""
    settled = [action for action in actions if action != "skip"]
    return sum(earlier in SETTLES and later in SETTLES for earlier, later in pairwise(settled))


def _ends_as(actions: list[str]) -> str:
    settled = [action for action in actions if action != "skip"]
    return SETTLES.get(settled[-1], "pending") if settled else "pending"
