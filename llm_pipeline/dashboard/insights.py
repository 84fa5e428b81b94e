"""Insights: what to expect of the coming weeks, with intervals, and how earlier forecasts did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean
from typing import Any

from markupsafe import Markup

from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.forecast import SHORTEST_HISTORY
from llm_pipeline.store import quality
from llm_pipeline.wiring import now

WEEKS_SHOWN = 104
NAMES = {
    "submissions": ("Submissions", "rows by the week they speak of"),
    "queue": ("Queue", "texts that wait at the end of the week"),
    "reviewer_hours": ("Reviewer hours", "what people settle, at their pace of the last 8 weeks"),
    "automatic_share": ("Automatic share", "of the texts that were settled"),
    "accuracy": ("Accuracy", "right among the audits drawn by lot"),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """How forecasts did that were really made: of `weeks` that are over since."""

    weeks: int
    inside: float
    mean_error: float


class Insights:
    """The newest forecasts."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html())

    async def beat(self, new: Beat) -> None:
        if "report:written" in new.names:
            self._shown.show(await self._html())

    async def _html(self) -> Markup:
        report = await self._sheet.read(quality.latest_report, "insights")
        return drawn(report, now().date())


def drawn(report: quality.Report | None, today: date) -> Markup:
    """Draw a report as it is read on a day; one of an earlier version has no series."""
    series = [] if report is None else report.content.get("series", [])
    said = [] if report is None else report.content.get("said", [])
    return rendered(
        "insights.html",
        report=report,
        series=[{**one, "weeks": one["weeks"][-WEEKS_SHOWN:]} for one in series],
        names=NAMES,
        this_week=(today - timedelta(days=today.weekday())).isoformat(),
        kept={one["name"]: kept(said, one["name"]) for one in series},
        needed=SHORTEST_HISTORY,
    )


def kept(said: Sequence[dict[str, Any]], series: str) -> Kept | None:
    """Compare what was said of a series, a week before, with what came; None before there is any.

    >>> kept([{"series": "queue", "expected": 4, "low": 2, "high": 5, "came": 6}], "queue")
    Kept(weeks=1, inside=0.0, mean_error=2.0)
    """
    over = [one for one in said if one["series"] == series and one["came"] is not None]
    if not over:
        return None
    inside = [one["low"] <= one["came"] <= one["high"] for one in over]
    errors = [abs(one["expected"] - one["came"]) for one in over]
    return Kept(len(over), fmean(inside), fmean(errors))
