"""What happened by the day (UTC), for forecasts: the days are put into weeks by who asks."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Integer, case, func, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.automation import AuditKind
from llm_pipeline.store.activity import AUTO_APPROVED, SETTLED, as_date
from llm_pipeline.store.schema_automation import audits
from llm_pipeline.store.schema_derived import activity_counts

_a = activity_counts.c


@dataclass(frozen=True, slots=True)
class Day:
    """A day's number, and out of how many it is."""

    day: date
    number: int
    of: int


def settled(session: Session) -> list[Day]:
    """Return the texts that people and policies settled; the number is that of the policies."""
    by_policy: ColumnElement[int] = func.sum(case((_a.kind == AUTO_APPROVED, _a.number), else_=0))
    day = func.date(_a.hour)
    query = select(day, by_policy.cast(Integer), func.sum(_a.number).cast(Integer))
    found = query.where(_a.kind.in_([*SETTLED, AUTO_APPROVED])).group_by(day).order_by(day)
    return [Day(as_date(row[0]), row[1], row[2]) for row in session.execute(found)]


def audited(session: Session) -> list[Day]:
    """Return the answered audits that were drawn by lot; the number is that of right answers."""
    c = audits.c
    day = func.date(c.answered_at)
    right: ColumnElement[int] = func.sum(case((c.right, 1), else_=0))
    kinds = [AuditKind.ARRIVAL.value, AuditKind.REPEAT.value]
    query = select(day, right.cast(Integer), func.count())
    of = c.kind.in_(kinds), c.right.is_not(None), c.answered_at.is_not(None)
    found = query.where(*of).group_by(day).order_by(day)
    return [Day(as_date(row[0]), row[1], row[2]) for row in session.execute(found)]


def pace(session: Session, since: datetime) -> float | None:
    """Return how many texts a person settles in an hour in which they settle any, since a time."""
    people = _a.kind.in_(SETTLED), _a.hour >= since.replace(minute=0, second=0, microsecond=0)
    rows = select(_a.who, _a.hour).where(*people).distinct().subquery()
    hours = session.scalar(select(func.count()).select_from(rows)) or 0
    number = session.scalar(select(func.sum(_a.number)).where(*people)) or 0
    return int(number) / hours if hours else None
