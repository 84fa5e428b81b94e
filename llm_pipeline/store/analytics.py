"""Numbers about the LLM Center's work, read from counters alone: their cost depends on the hours
and people in question, never on the number of mappings.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from llm_pipeline.store.schema import PENDING_STATUS, mappings, targets
from llm_pipeline.store.schema_derived import activity_counts, status_counts, target_counts

LIVE = ("approved", "auto_approved")
_TOP_OF_A_STATUS = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """How many mappings stand in a status, and how many submissions belong to them."""

    mappings: int
    rows: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """Mappings that wait, and their submissions, by the day (UTC) on which they came."""

    day: str
    mappings: int
    rows: int


@dataclass(frozen=True, slots=True)
class TopTarget:
    """A target that many texts mean."""

    key: str
    name: str
    mappings: int
    rows: int


@dataclass(frozen=True, slots=True)
class Done:
    """What somebody did in an hour, by kind as in `activity`."""

    kind: str
    hour: datetime
    who: str
    number: int


def standing(session: Session) -> dict[str, Standing]:
    """Return the number of mappings and submissions of each status that has any."""
    s = status_counts.c
    query = select(s.status, func.sum(s.mappings), func.sum(s.rows)).group_by(s.status)
    found = {row[0]: Standing(int(row[1]), int(row[2])) for row in session.execute(query)}
    return {status: counts for status, counts in found.items() if counts.mappings}


def live(standing: Mapping[str, Standing]) -> int:
    """Return how many mappings are live, out of how many stand in each status."""
    return sum(standing[status].mappings for status in LIVE if status in standing)


def waiting(session: Session) -> list[Arrived]:
    """Return what waits by the day it came, oldest first."""
    s = status_counts.c
    query = select(s.day, s.mappings, s.rows).where(text(PENDING_STATUS), s.mappings > 0)
    return [Arrived(*row) for row in session.execute(query.order_by(s.day))]


def oldest_waiting(session: Session) -> datetime | None:
    """Return when the mapping that waits longest came."""
    m = mappings.c
    query = select(m.created_at).where(text(PENDING_STATUS)).order_by(m.id).limit(1)
    return session.scalar(query)


def top_targets(session: Session, limit: int) -> list[TopTarget]:
    """Return the targets that most texts mean, approved by people or automatically."""
    t = target_counts.c
    rows: Counter[int] = Counter()
    texts: Counter[int] = Counter()
    for status in LIVE:
        # A target with fewer texts than the last of these in both is none of the first.
        query = select(t.target_id).where(t.status == status, t.mappings > 0)
        best = list(session.scalars(query.order_by(t.mappings.desc()).limit(_TOP_OF_A_STATUS)))
        texts.update(dict.fromkeys(best, 0))
    found = select(t.target_id, t.mappings, t.rows).where(
        t.target_id.in_(list(texts)), t.status.in_(LIVE)
    )
    for target_id, number, submissions in session.execute(found):
        texts[target_id] += number
        rows[target_id] += submissions
    first = texts.most_common(limit)
    named = select(targets.c.id, targets.c.key, targets.c.name).where(
        targets.c.id.in_([target_id for target_id, _ in first])
    )
    names = {row.id: (row.key, row.name) for row in session.execute(named)}
    return [TopTarget(*names[i], number, rows[i]) for i, number in first if i in names]


def done_since(session: Session, since: datetime) -> list[Done]:
    """Return what was done from an hour on, by kind, hour and person."""
    a = activity_counts.c
    kinds = select(a.kind).distinct()
    query = select(a.kind, a.hour, a.who, a.number).where(a.kind.in_(kinds), a.hour >= since)
    return [Done(*row) for row in session.execute(query.order_by(a.hour, a.kind, a.who))]
