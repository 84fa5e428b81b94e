"""Data Management: how the components are, the pipeline, what happens how often, and alerts."""

from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from llm_pipeline.api import data as routes
from llm_pipeline.api.infrastructure import infrastructure_of
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Beat, Pulse
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.dashboard.strip import cards
from llm_pipeline.domain.records import Role
from llm_pipeline.store import alerts, log, quality
from llm_pipeline.store.engine import Session
from llm_pipeline.wiring import now

LOOK_SECONDS = 5.0
ALERTS_SHOWN = 20
EVENTS_COUNTED = 2000
REPORTS = ("quality", "performance", "evaluation", "insights")


class Data:
    """The infrastructure as one browser looks at it."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    async def open(self) -> None:
        sheet = self._sheet
        sheet.panel(rendered("data_head.html", dagster=sheet.services.parts.settings.dagster_url))
        self._health = sheet.panel(await self._components())
        self._shown = sheet.panel(await self._html(), self.heard)

    async def beat(self, _new: Beat) -> None:
        self._shown.show(await self._html())

    async def look(self) -> None:
        """What was seen of the components is shown every few seconds."""
        self._health.show(await self._components())

    async def heard(self, act: Act) -> None:
        if act.do == "acknowledge" and (number := act.number) is not None:
            await self._sheet.do(
                Role.REVIEWER,
                "acknowledging alerts",
                lambda caller: routes.post_acknowledge(self._sheet.services, caller, number),
            )
        self._shown.show(await self._html())

    async def _components(self) -> Markup:
        found = await run_in_threadpool(infrastructure_of, self._sheet.services)
        return rendered("health.html", cards=cards(found.components, now()))

    async def _html(self) -> Markup:
        settings = self._sheet.services.parts.settings

        def look(session: Session) -> Markup:
            reports = [(kind, quality.latest_report(session, kind)) for kind in REPORTS]
            return rendered(
                "data.html",
                alerts=_most_urgent(session),
                recent=log.recent(session, EVENTS_COUNTED),
                reports=reports,
                dagster=settings.dagster_url,
                may=self._sheet.may(Role.REVIEWER),
            )

        return await self._sheet.read(look)


def _most_urgent(session: Session) -> list[alerts.Alert]:
    """Return open alerts, critical ones first, and then those that were over last."""
    still = sorted(alerts.open_alerts(session), key=lambda one: one.severity != "critical")
    over = [one for one in alerts.page(session, None, ALERTS_SHOWN) if one.resolved_at]
    return [*still, *over][:ALERTS_SHOWN]


async def build(sheet: Sheet, pulse: Pulse) -> None:
    """Put the infrastructure up."""
    page = Data(sheet)
    await page.open()
    pulse.moved.subscribe(page.beat)
    ui.timer(LOOK_SECONDS, page.look, immediate=False)
