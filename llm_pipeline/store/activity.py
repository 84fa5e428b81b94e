"""How much happened when: counts over time for reports and forecasts."""

from dataclasses import dataclass
from datetime import date, datetime

import pandas as pd
from sqlalchemy import ColumnElement, Integer, case, func, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action
from llm_pipeline.store.schema import decisions, rejected_rows, submissions, targets, uploads


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often reviewers took what a model version had suggested, among the texts they decided."""

    model_version: str
    decided: int
    agreed: int
    mean_probability: float


def submissions_by_day(session: Session) -> list[tuple[date, int]]:
    """Return the number of submissions of each day that had any, by the rows' own time."""
    day = func.date(func.coalesce(submissions.c.occurred_at, submissions.c.received_at))
    query = select(day, func.count()).group_by(day).order_by(day)
    return [(_date(row[0]), row[1]) for row in session.execute(query)]


def _date(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def agreement(session: Session) -> list[Agreement]:
    """Return, per model version, how decisions compare with the suggestion the reviewer saw.

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
            d.suggested_target_id.is_not(None),
            d.action.in_([Action.APPROVE.value, Action.CORRECT.value, Action.REJECT.value]),
        )
        .group_by(d.model_version)
        .order_by(d.model_version)
    )
    return [Agreement(row[0], row[1], row[2], float(row[3])) for row in session.execute(query)]


def last_received(session: Session) -> datetime | None:
    """Return when the newest submission arrived."""
    newest = select(submissions.c.received_at).order_by(submissions.c.id.desc()).limit(1)
    return session.scalar(newest)


def rows_set_aside(session: Session) -> int:
    """Return how many rows of files the gate has set aside."""
    return session.scalar(select(func.count()).select_from(rejected_rows)) or 0


def uploads_by_status(session: Session) -> dict[str, int]:
    """Return how many uploads run, are finished or failed."""
    query = select(uploads.c.status, func.count()).group_by(uploads.c.status)
    return {row[0]: row[1] for row in session.execute(query)}


def newest_submissions(session: Session, limit: int) -> pd.DataFrame:
    """Return the newest submissions: text and the key of the proposed target, or None."""
    query = (
        select(submissions.c.text, targets.c.key)
        .select_from(submissions.outerjoin(targets, targets.c.id == submissions.c.target_id))
        .order_by(submissions.c.id.desc())
        .limit(limit)
    )
    rows = session.execute(query).fetchall()
    return pd.DataFrame(rows, columns=["text", "target"], dtype=object)
