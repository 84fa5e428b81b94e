"""LLM Center: how the work goes, from counters that are kept as it is done."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given
from llm_pipeline.api.schemas import FromStore
from llm_pipeline.domain.records import Action, Status
from llm_pipeline.store import activity, analytics, log
from llm_pipeline.store.engine import Session
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-center", tags=["LLM Center"])

Days = Annotated[int, Query(ge=1, le=366, description="how many days back, today included")]
Top = Annotated[int, Query(ge=1, le=100, description="how many of the targets most texts mean")]
_DECISIONS = tuple(action.value for action in Action)


class StandingOut(FromStore):
    """Mappings in a status, and the submissions that belong to them."""

    mappings: int
    rows: int


class ArrivedOut(StandingOut):
    """Mappings that wait, by the day (UTC) they came."""

    day: date


class QueueOut(BaseModel):
    """What waits for a person; the ages are of days, weighted by submissions."""

    mappings: int
    rows: int
    oldest_at: datetime | None
    median_age_days: int | None
    p90_age_days: int | None
    by_day: list[ArrivedOut]


class ReviewerOut(BaseModel):
    """What one person approved, corrected or rejected, less what they took back; an hour counts if
    it holds anything they did."""

    who: str
    decisions: int
    hours: int
    per_hour: float
    suggested: int
    accepted: int


class DayOut(BaseModel):
    """One day (UTC)."""

    day: date
    received: int
    set_aside: int
    decisions: dict[str, int]
    suggested: int
    accepted: int


class TopTargetOut(StandingOut):
    """A target that many texts mean."""

    key: str
    name: str


class AnalyticsOut(BaseModel):
    """Everything at one offset. `acceptance_rate` is the share of decisions about waiting mappings
    with a suggestion that took it; the queue chose these, so it is no accuracy.
    """

    offset: int
    since: datetime
    mappings: dict[str, StandingOut]
    automatic_share: float | None
    queue: QueueOut
    decisions: dict[str, int]
    acceptance_rate: float | None
    reviewers: list[ReviewerOut]
    days: list[DayOut]
    top_targets: list[TopTargetOut]


@router.get("/analytics", summary="Counts, rates and trends of the LLM Center")
def get_analytics(services: Given, _caller: Viewer, days: Days = 30, top: Top = 10) -> AnalyticsOut:
    since = first_midnight(days)
    with services.parts.read() as session:
        standing = analytics.standing(session)
        done = analytics.done_since(session, since)
        return AnalyticsOut(
            offset=log.latest(session),
            since=since,
            mappings={
                status.value: StandingOut.model_validate(standing.get(status.value, _NOTHING))
                for status in Status
            },
            automatic_share=_automatic(standing),
            queue=_queue(session, now().date()),
            decisions=_decisions(done),
            acceptance_rate=_share(done),
            reviewers=_reviewers(done),
            days=_by_day(done, since.date(), days),
            top_targets=[
                TopTargetOut.model_validate(target)
                for target in analytics.top_targets(session, top)
            ],
        )


def first_midnight(days: int) -> datetime:
    """Return when the first of so many days began, today included (UTC)."""
    midnight = now().replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=days - 1)


def counts_by_day(done: Sequence[analytics.Done]) -> defaultdict[date, Counter[str]]:
    """Return what was done each day, by kind."""
    counts: defaultdict[date, Counter[str]] = defaultdict(Counter)
    for one in done:
        counts[one.hour.date()][one.kind] += one.number
    return counts


_NOTHING = analytics.Standing(0, 0)


def _automatic(standing: dict[str, analytics.Standing]) -> float | None:
    """The share of live mappings that no person approved."""
    live = analytics.live(standing)
    automatic = standing.get(Status.AUTO_APPROVED.value, _NOTHING).mappings
    return automatic / live if live else None


def _queue(session: Session, today: date) -> QueueOut:
    found = [ArrivedOut.model_validate(day) for day in analytics.waiting(session)]
    return QueueOut(
        mappings=sum(day.mappings for day in found),
        rows=sum(day.rows for day in found),
        oldest_at=analytics.oldest_waiting(session),
        median_age_days=_age(found, today, 0.5),
        p90_age_days=_age(found, today, 0.9),
        by_day=found,
    )


def _age(arrived: Sequence[ArrivedOut], today: date, share: float) -> int | None:
    """The age in days that `share` of the waiting submissions do not exceed."""
    seen = 0
    total = sum(day.rows for day in arrived)
    for day in reversed(arrived):
        seen += day.rows
        if seen >= share * total:
            return (today - day.day).days
    return None


def _decisions(done: Sequence[analytics.Done]) -> dict[str, int]:
    counts = Counter[str]()
    for one in done:
        counts[one.kind] += one.number
    return {action: counts[action] for action in _DECISIONS}


def _share(done: Sequence[analytics.Done]) -> float | None:
    suggested = sum(one.number for one in done if one.kind == activity.SUGGESTED)
    taken = sum(one.number for one in done if one.kind == activity.TAKEN)
    return taken / suggested if suggested else None


def _reviewers(done: Sequence[analytics.Done]) -> list[ReviewerOut]:
    """Whoever decided anything, the busiest first."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    hours: defaultdict[str, set[datetime]] = defaultdict(set)
    for one in done:
        if one.kind in (*_DECISIONS, activity.SUGGESTED, activity.TAKEN):
            counts[one.who][one.kind] += one.number
            hours[one.who].add(one.hour)
    found = []
    for who, kinds in counts.items():
        decided = activity.settled(kinds)
        found.append(
            ReviewerOut(
                who=who,
                decisions=decided,
                hours=len(hours[who]),
                per_hour=decided / len(hours[who]),
                suggested=kinds[activity.SUGGESTED],
                accepted=kinds[activity.TAKEN],
            )
        )
    return sorted(found, key=lambda reviewer: (-reviewer.decisions, reviewer.who))


def _by_day(done: Sequence[analytics.Done], first: date, days: int) -> list[DayOut]:
    """Every day in question, also those on which nothing happened."""
    counts = counts_by_day(done)
    return [
        DayOut(
            day=day,
            received=counts[day][activity.RECEIVED],
            set_aside=counts[day][activity.SET_ASIDE],
            decisions={action: counts[day][action] for action in _DECISIONS},
            suggested=counts[day][activity.SUGGESTED],
            accepted=counts[day][activity.TAKEN],
        )
        for day in (first + timedelta(days=number) for number in range(days))
    ]
