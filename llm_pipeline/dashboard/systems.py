"""Pipeline and systems: every asset, numbers over time, what components were, and webhooks."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice

from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool

from llm_pipeline.api import webhooks as routes
from llm_pipeline.api.auth import Caller
from llm_pipeline.api.pipeline_health import get_pipeline_health
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Beat, Pulse
from llm_pipeline.dashboard.rendering import moment_label, rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.health import Health
from llm_pipeline.domain.records import Role
from llm_pipeline.posting import LONGEST_URL
from llm_pipeline.store import components, metrics, system_metrics
from llm_pipeline.store.engine import Session
from llm_pipeline.store.system_metrics import SystemMetric

LOOK_SECONDS = 15.0
CHANGES = 10  # of each component
CHANGES_SHOWN = 40
PLOTTED = 48
POINTS = 100
DELIVERIES = 5
_MEASURED = {"metrics:posted", "metrics:limits_set", "component:changed"}


@dataclass(frozen=True, slots=True)
class Plotted:
    """A number with its newest values, the oldest first."""

    one: SystemMetric
    labels: list[str]
    values: list[float]


class Systems:
    """The systems as one browser looks at them."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._asked = ""  # the id of a webhook whose deliveries are shown, or `new`
        self._secret = ""  # of the one just made: it is shown this once

    async def open(self) -> None:
        sheet = self._sheet
        sheet.panel(
            rendered("systems_head.html", dagster=sheet.services.parts.settings.dagster_url)
        )
        self._pipeline = sheet.panel(rendered("pipeline.html", found=None, dagster=""))
        self._measured = sheet.panel(await self._numbers())
        if sheet.may(Role.ADMIN):
            self._hooks = sheet.panel(await self._webhooks(), self.heard)

    async def beat(self, new: Beat) -> None:
        if new.names & _MEASURED:
            self._measured.show(await self._numbers())

    async def look(self) -> None:
        """Dagster is asked every few seconds, and never while a page is built: it may hang."""
        services, caller = self._sheet.services, self._sheet.caller
        found = await run_in_threadpool(get_pipeline_health, services, caller)
        dagster = services.parts.settings.dagster_url
        self._pipeline.show(rendered("pipeline.html", found=found, dagster=dagster))
        if self._sheet.may(Role.ADMIN):
            self._hooks.show(await self._webhooks())

    async def heard(self, act: Act) -> None:
        if act.do in ("look", "close"):
            self._asked = "" if act.do == "close" or act.arg == self._asked else act.arg
            self._secret = ""
        elif act.do == "make":
            names = act.form.get("events", "").replace(",", " ").split()
            url = act.form.get("url", "").strip()[:LONGEST_URL]
            body = routes.NewWebhook(url=url, events=[name[:500] for name in names[:100]])
            made = await self._sheet.do(
                Role.ADMIN,
                "webhooks",
                lambda caller: routes.post_webhook(self._sheet.services, caller, body),
            )
            self._asked, self._secret = str(made.id), made.secret
        elif act.do in ("test", "remove") and (number := act.number) is not None:
            await self._change(act.do, number)
        self._hooks.show(await self._webhooks())

    async def _change(self, what: str, webhook_id: int) -> None:
        route = routes.post_test if what == "test" else routes.delete_webhook
        await self._sheet.do(
            Role.ADMIN,
            "webhooks",
            lambda caller: route(self._sheet.services, caller, webhook_id),
        )
        told = "a test is on its way" if what == "test" else "it is told nothing any more"
        self._sheet.tell(told)

    async def _numbers(self) -> Markup:
        def look(session: Session) -> Markup:
            found = system_metrics.all_of(session)
            by_source = defaultdict(list)
            for one in islice(found, PLOTTED):
                by_source[one.source].append(_plotted(session, one))
            # The oldest of a component is how it was found, and news only if it was not well.
            changed = [
                change
                for changes in components.history(session, CHANGES).values()
                for change in changes
                if len(changes) > 1 or change.status is not Health.OK
            ]
            return rendered(
                "systems.html",
                sources=dict(by_source),
                more=len(found) - PLOTTED,
                changes=sorted(changed, key=lambda c: c.at, reverse=True)[:CHANGES_SHOWN],
            )

        return await self._sheet.read(look)

    async def _webhooks(self) -> Markup:
        services, asked = self._sheet.services, self._asked

        def look(caller: Caller) -> Markup:
            found = routes.list_webhooks(services, caller).items
            chosen = next((one for one in found if str(one.id) == asked), None)
            newest = (
                routes.list_deliveries(services, caller, chosen.id, DELIVERIES).items
                if chosen
                else []
            )
            return rendered(
                "webhooks.html",
                webhooks=found,
                chosen=chosen,
                newest=newest,
                secret=self._secret,
                asked=asked,
            )

        return await self._sheet.do(Role.ADMIN, "webhooks", look)


def _plotted(session: Session, one: SystemMetric) -> Plotted:
    found = metrics.series(session, f"system:{one.source}", one.name, POINTS)[::-1]
    return Plotted(one, [moment_label(at) for at, _ in found], [value for _, value in found])


async def build(sheet: Sheet, pulse: Pulse) -> None:
    """Put the systems up."""
    page = Systems(sheet)
    await page.open()
    pulse.moved.subscribe(page.beat)
    ui.timer(LOOK_SECONDS, sheet.unasked(page.look), immediate=True)
