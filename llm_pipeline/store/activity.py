"""How much happened when: counts by the hour, kept as things happen, and what reports ask beyond
them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Integer, case, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action, Status
from llm_pipeline.store.schema import decisions, submissions, uploads
from llm_pipeline.store.schema_derived import activity_counts

# Kinds of activity beside the actions of reviewers: rows that came and rows that a gate set aside
# (`who` is their source), decisions about waiting mappings with a suggestion, and
# those that took it.
RECEIVED, SET_ASIDE, SUGGESTED, TAKEN = "received", "set_aside", "suggested", "taken"
# Mappings that followed a target which left: decisions, but nobody's about these mappings.
MOVED = "moved"
# Answers about groups that two people must answer, also where they settled nothing yet.
OPINION = "opinion"
# Approved by a policy: no reviewer's work.
AUTO_APPROVED = "auto_approved"


# What takes a text out of the queue: a skip or an undo is no work done.
SETTLED = (Action.APPROVE.value, Action.CORRECT.value, Action.REJECT.value)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often reviewers took what a model version had suggested, among the texts they decided."""

    model_version: str
    decided: int
    agreed: int
    mean_probability: float


def settled(counts: Mapping[str, int]) -> int:
    """Return how many texts somebody settled, out of what they did by kind, less what they took
    back.

    >>> settled({"approve": 3, "reject": 1, "skip": 5, "undo": 2}), settled({"undo": 1})
    (2, 0)
    """
    done = sum(counts.get(action, 0) for action in SETTLED)
    return max(0, done - counts.get(Action.UNDO.value, 0))


def add(session: Session, at: datetime, who: str, counts: Mapping[str, int]) -> None:
    """Count what `who` did at a time, by kind."""
    hour = _hour(at)
    rows = [
        {"kind": kind, "hour": hour, "who": who, "number": number}
        for kind, number in counts.items()
        if number
    ]
    if not rows:
        return
    sqlite = session.get_bind().dialect.name == "sqlite"
    new = (sqlite_insert if sqlite else postgresql_insert)(activity_counts)
    session.execute(
        new.on_conflict_do_update(
            index_elements=list(activity_counts.primary_key),
            set_={"number": activity_counts.c.number + new.excluded.number},
        ),
        rows,
    )


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def total(session: Session, kind: str) -> int:
    """Return how often something was done in all."""
    query = select(func.sum(activity_counts.c.number)).where(activity_counts.c.kind == kind)
    return int(session.scalar(query) or 0)


def since(session: Session, kind: str, at: datetime) -> int:
    """Return how often something was done since the hour of a time."""
    a = activity_counts.c
    query = select(func.sum(a.number)).where(a.kind == kind, a.hour >= _hour(at))
    return int(session.scalar(query) or 0)


def of_person(session: Session, who: str, since: datetime) -> dict[str, int]:
    """Return what somebody did since the hour of a time, by kind."""
    a = activity_counts.c
    query = select(a.kind, func.sum(a.number)).where(a.who == who, a.hour >= _hour(since))
    rows = session.execute(query.group_by(a.kind).order_by(a.kind))
    return {row[0]: int(row[1]) for row in rows}


def submissions_by_day(session: Session) -> list[tuple[date, int]]:
    """Return the number of submissions of each day that had any, by the rows' own time."""
    day = func.date(func.coalesce(submissions.c.occurred_at, submissions.c.received_at))
    query = select(day, func.count()).group_by(day).order_by(day)
    return [(as_date(row[0]), row[1]) for row in session.execute(query)]


def as_date(value: date | str) -> date:
    """Return a day as `func.date` gives it: SQLite has no dates."""
    return date.fromisoformat(value) if isinstance(value, str) else value


def agreement(session: Session) -> list[Agreement]:
    """Return, per model version, how decisions about what waited compare with the suggestion that
    the reviewer saw.

    These texts were chosen by the queue, so this describes the review and is no accuracy.
    """
    d = decisions.c
    taken: ColumnElement[int] = func.sum(
        case((d.target_id == d.suggested_target_id, 1), else_=0)
    ).cast(Integer)
    query = (
        select(d.model_version, func.count(), taken, func.avg(d.probability))
        .where(
            d.model_version.is_not(None),
            d.policy_id.is_(None),
            d.suggested_target_id.is_not(None),
            d.previous_status == Status.PENDING.value,
            d.action.in_(SETTLED),
        )
        .group_by(d.model_version)
        .order_by(d.model_version)
    )
    return [Agreement(row[0], row[1], row[2], float(row[3])) for row in session.execute(query)]


def last_received(session: Session) -> datetime | None:
    """Return when the newest submission arrived."""
    newest = select(submissions.c.received_at).order_by(submissions.c.id.desc()).limit(1)
    return session.scalar(newest)


def uploads_by_status(session: Session) -> dict[str, int]:
    """Return how many uploads run, are finished or failed."""
    query = select(uploads.c.status, func.count()).group_by(uploads.c.status)
    return {row[0]: row[1] for row in session.execute(query)}
