"""Forecast: what to expect of the coming weeks, or why nothing can be said; and what was said
before, beside what came.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise, takewhile
from typing import Any

from llm_pipeline.domain.forecast import SHORTEST_HISTORY, Scale
from llm_pipeline.domain.forecast import forecast as foretell
from llm_pipeline.domain.records import Status
from llm_pipeline.forecasting import ahead
from llm_pipeline.store import activity, log, mappings, quality, weeks
from llm_pipeline.store.engine import Session

KIND = "insights"
KEPT_WEEKS = 520  # are looked at
TOLD_WEEKS = 104  # are in the report, of which there is one an hour
PACE_OVER = timedelta(weeks=8)
_WEEK = timedelta(weeks=1)
# A quarter: longer than any holiday. One row of a wrong year would else be followed by years of 0.
SILENCE = 13


@dataclass(frozen=True, slots=True)
class Series:
    """A number by the week, whole weeks without a gap, up to the last one."""

    name: str
    scale: Scale
    weeks: tuple[tuple[date, float], ...]
    missing: str = ""  # why there is none, where it is not for want of weeks


def forecast(session: Session, actor: str, at: datetime) -> quality.Report:
    """Write the insights report in one go."""
    return write(session, foresee(session, at), actor, at)


def foresee(session: Session, at: datetime) -> dict[str, Any]:
    """Return what the report holds. It takes seconds: ask it while nobody waits to write."""
    before = quality.latest_report(session, KIND)
    earlier: dict[str, Any] = {} if before is None else before.content
    this_week = _monday(at.date())
    waited = _waited(session, earlier.get("waited", []), this_week)
    pace = weeks.pace(session, at - PACE_OVER)
    series = _series(session, waited, pace, this_week)
    told = [_told(one) for one in series]
    return {
        "series": told,
        "said": _said(earlier.get("said", []), told, series),
        "waited": waited,
        "pace": pace,
    }


def write(session: Session, content: dict[str, Any], actor: str, at: datetime) -> quality.Report:
    """Store the report, with a verdict that says the nearest week of each series."""
    verdict = "; ".join(_verdict(one) for one in content["series"])
    return quality.record_report(session, KIND, log.latest(session), verdict, content, actor, at)


def _series(
    session: Session, waited: list[dict[str, Any]], pace: float | None, this_week: date
) -> list[Series]:
    submissions = _weekly(activity.submissions_by_day(session), this_week)
    settled = weeks.settled(session)
    by_people = _weekly([(one.day, one.of - one.number) for one in settled], this_week)
    hours = tuple((week, number / pace) for week, number in by_people) if pace else ()
    idle = "nobody decided anything in the last eight weeks, so there is no pace to reckon with"
    queue = [(date.fromisoformat(one["week"]), float(one["waiting"])) for one in waited]
    whole = [(week, number) for week, number in queue if week < this_week]
    return [
        Series("submissions", Scale.COUNT, submissions),
        Series("queue", Scale.COUNT, _unbroken(whole)),
        Series("reviewer_hours", Scale.COUNT, hours, "" if pace else idle),
        Series("automatic_share", Scale.SHARE, _shares(settled, this_week)),
        Series("accuracy", Scale.SHARE, _shares(weeks.audited(session), this_week)),
    ]


def _told(one: Series) -> dict[str, Any]:
    values = [value for _, value in one.weeks]
    found = None if one.missing else foretell(values, one.scale, ahead)
    needed = f"{len(values)} whole weeks of history without a gap, {SHORTEST_HISTORY} are needed"
    return {
        "name": one.name,
        "scale": one.scale.value,
        "weeks": [
            {"week": week.isoformat(), "value": value} for week, value in one.weeks[-TOLD_WEEKS:]
        ],
        "next_week": (one.weeks[-1][0] + _WEEK).isoformat() if one.weeks else None,
        "forecast": None if found is None else found.as_json(),
        "reason": "" if found is not None else one.missing or needed,
    }


def _waited(
    session: Session, earlier: Sequence[dict[str, Any]], this_week: date
) -> list[dict[str, Any]]:
    """What waited at the end of each week, as each report found it: nothing else tells later."""
    now = {
        "week": this_week.isoformat(),
        "waiting": mappings.counts(session).get(Status.PENDING.value, 0),
    }
    return [*(one for one in earlier if one["week"] < now["week"]), now][-KEPT_WEEKS:]


def _said(
    earlier: Sequence[dict[str, Any]], told: Sequence[dict[str, Any]], series: Sequence[Series]
) -> list[dict[str, Any]]:
    """What was first said of each week, with what came of it once the week is over."""
    came = {(one.name, week.isoformat()): value for one in series for week, value in one.weeks}
    known = {(one["series"], one["week"]) for one in earlier}
    new = [
        {"series": one["name"], "week": one["next_week"], **_near(one), "came": None}
        for one in told
        if one["forecast"] and (one["name"], one["next_week"]) not in known
    ]
    return [
        {**one, "came": came.get((one["series"], one["week"]), one["came"])}
        for one in [*earlier, *new][-TOLD_WEEKS * len(series) :]
    ]


def _near(told: dict[str, Any]) -> dict[str, float]:
    near = told["forecast"]["weeks"][0]
    return {name: near[name] for name in ("expected", "low", "high")}


def _verdict(told: dict[str, Any]) -> str:
    name = told["name"].replace("_", " ")
    if not told["forecast"]:
        return f"{name}: no forecast, {told['reason']}"
    near, score = _near(told), told["forecast"]["scores"][0]
    low, expected, high = (
        f"{value:.1%}" if told["scale"] == Scale.SHARE else f"{value:,.0f}"
        for value in (near["low"], near["expected"], near["high"])
    )
    ratio = score["mase"] if score["mase"] is not None else score["versus_last"]
    against = "a year before" if score["mase"] is not None else "the last week"
    did = "" if ratio is None else f", error {ratio:.2f} of that of 'as {against}'"
    return f"{name}: {expected} in the week of {told['next_week']} ({low} to {high}{did})"


def _shares(days: Iterable[weeks.Day], this_week: date) -> tuple[tuple[date, float], ...]:
    """The share of each week that had any, in the last weeks without a gap."""
    found = list(days)
    numbers = dict(_weekly([(one.day, one.number) for one in found], this_week))
    wholes = _weekly([(one.day, one.of) for one in found], this_week)
    return _unbroken([(week, numbers.get(week, 0) / of) for week, of in wholes if of])


def _unbroken(found: Sequence[tuple[date, float]]) -> tuple[tuple[date, float], ...]:
    newest = list(reversed(found))
    last = [
        one
        for position, one in takewhile(
            lambda pair: pair[1][0] == newest[0][0] - pair[0] * _WEEK, enumerate(newest)
        )
    ]
    return tuple(reversed(last))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _weekly(days: Iterable[tuple[date, int]], before: date) -> tuple[tuple[date, float], ...]:
    """Sum days into weeks by their Monday, leaving out the week that still runs. Up to `SILENCE`
    weeks without any are zeros; history begins anew after more of them."""
    sums: dict[date, int] = {}
    for day, number in days:
        sums[_monday(day)] = sums.get(_monday(day), 0) + number
    found = sorted(week for week in sums if week < before)
    if not found:
        return ()
    begin = found[0]
    for week, following in pairwise(found):
        if following - week > (SILENCE + 1) * _WEEK:
            begin = following
    length = (found[-1] - begin).days // 7 + 1
    mondays = [begin + number * _WEEK for number in range(length)][-KEPT_WEEKS:]
    return tuple((week, float(sums.get(week, 0))) for week in mondays)
