"""Insights: how many rows to expect next week, with an interval, and how earlier forecasts did."""

from markupsafe import Markup

from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.forecast import SHORTEST_HISTORY
from llm_pipeline.store import quality
from llm_pipeline.store.engine import Session

WEEKS_SHOWN = 104


class Insights:
    """The newest forecast."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html())

    async def beat(self, new: Beat) -> None:
        if "report:written" in new.names:
            self._shown.show(await self._html())

    async def _html(self) -> Markup:
        def look(session: Session) -> Markup:
            report = quality.latest_report(session, "insights")
            weeks = [] if report is None else report.content["weeks"][-WEEKS_SHOWN:]
            forecast = None if report is None else report.content["forecast"]
            return rendered(
                "insights.html",
                report=report,
                weeks=weeks,
                forecast=forecast,
                needed=SHORTEST_HISTORY,
            )

        return await self._sheet.read(look)
