"""Analytics of the LLM Center: how the work goes, as plots, from counters."""

from markupsafe import Markup

from llm_pipeline.api.analytics import AnalyticsOut, get_analytics
from llm_pipeline.api.queue import get_agreement
from llm_pipeline.api.queue_schemas import AgreementOut
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role

SPANS = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "a year"}
_TOP = 12


class Work:
    """The plots of a span of days."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._days = sheet.query.get("days", "30")

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html(), self.heard)

    async def beat(self, _new: Beat) -> None:
        self._shown.show(await self._html())

    async def heard(self, act: Act) -> None:
        self._days = act.form.get("days", "30")
        self._shown.show(await self._html())

    async def _html(self) -> Markup:
        days = self._days if self._days in SPANS else "30"
        sheet = self._sheet

        def look(_: object) -> tuple[AnalyticsOut, AgreementOut]:
            found = get_analytics(sheet.services, sheet.caller, int(days), _TOP)
            return found, get_agreement(sheet.services, sheet.caller)

        found, agreement = await sheet.do(Role.VIEWER, "analytics", look)
        return rendered("work.html", found=found, agreement=agreement, days=days, spans=SPANS)
