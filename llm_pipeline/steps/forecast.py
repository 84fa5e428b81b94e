"""Forecast: how many submissions to expect next week, or why nothing can be said."""

from dataclasses import asdict
from datetime import date, datetime, timedelta

from llm_pipeline.domain.forecast import SHORTEST_HISTORY, forecast_week
from llm_pipeline.store import activity, log, quality
from llm_pipeline.store.engine import Session


def forecast(session: Session, actor: str, at: datetime) -> quality.Report:
    """Write the insights report from the weekly numbers of submissions, whole weeks only."""
    weeks = _weekly(activity.submissions_by_day(session), before=_monday(at.date()))
    found = forecast_week([number for _, number in weeks])
    content = {
        "weeks": [{"week": week.isoformat(), "submissions": number} for week, number in weeks],
        "forecast": asdict(found) if found else None,
    }
    verdict = (
        f"{found.expected:.0f} submissions in the week after {weeks[-1][0]} "
        f"({found.low:.0f} to {found.high:.0f}; mean error so far {found.mean_error:.0f}, "
        f"of 'as last week' {found.naive_error:.0f}, over {found.tested_weeks} weeks)"
        if found
        else f"no forecast: {len(weeks)} whole weeks of history, {SHORTEST_HISTORY} are needed"
    )
    as_of = log.latest(session)
    return quality.record_report(session, "insights", as_of, verdict, content, actor, at)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _weekly(days: list[tuple[date, int]], before: date) -> list[tuple[date, int]]:
    """Sum days into weeks by their Monday, without gaps, leaving out the week that still runs."""
    sums: dict[date, int] = {}
    for day, number in days:
        sums[_monday(day)] = sums.get(_monday(day), 0) + number
    whole = [week for week in sums if week < before]
    if not whole:
        return []
    length = (max(whole) - min(whole)).days // 7 + 1
    weeks = [min(whole) + timedelta(weeks=number) for number in range(length)]
    return [(week, sums.get(week, 0)) for week in weeks]
