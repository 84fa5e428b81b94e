"""One open page: who looks at it, its panels, and what they do, checked again each time."""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from markupsafe import Markup
from nicegui import ui
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams

from llm_pipeline.api import auth
from llm_pipeline.api.auth import Caller
from llm_pipeline.api.deps import Services
from llm_pipeline.dashboard.panel import Act, Drop, Heard, Panel, Taken
from llm_pipeline.dashboard.pulse import Beat, Pulse, look
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import NotAllowed, NotSignedIn, PipelineError
from llm_pipeline.store.state import DatabaseError

logger = logging.getLogger(__name__)

Found = TypeVar("Found")
Given = ParamSpec("Given")


@dataclass(frozen=True, slots=True)
class Place:
    """A page in the navigation; `badge` names the number beside it."""

    path: str
    name: str
    badge: str = ""


PLACES: tuple[tuple[Place, tuple[Place, ...]], ...] = (
    (Place("/", "Overview"), ()),
    (
        Place("/center", "LLM Center", "pending"),
        (
            Place("/review", "Review"),
            Place("/uploads", "Uploads"),
            Place("/plans", "Plans"),
            Place("/targets", "Targets"),
            Place("/work", "Analytics"),
        ),
    ),
    (
        Place("/ml", "ML Dashboard"),
        (
            Place("/recognise", "Try and teach"),
            Place("/doubts", "Label errors"),
            Place("/automation", "Automatic approval"),
        ),
    ),
    (
        Place("/data", "Data Management", "alerts"),
        (
            Place("/gates", "Quality gates"),
            Place("/systems", "Pipeline and systems"),
            Place("/events", "Events"),
        ),
    ),
    (Place("/insights", "Insights"), ()),
)


class Sheet:
    """Builds a page, and lives as long as it is open in a browser."""

    def __init__(
        self, services: Services, caller: Caller, secret: str, place: str, query: QueryParams
    ) -> None:
        self.services = services
        self.caller = caller
        self.query = query
        self._secret = secret
        self._place = place
        self.first_beat: Beat  # as the page was opened
        self._boot: list[Markup] = []
        self._told: Panel | None = None
        self._tellings = 0

    def may(self, role: Role) -> bool:
        """Whether the page's reader may do what needs a role; asked again when they do it."""
        return self.caller.role.reaches(role)

    async def open(self, pulse: Pulse) -> None:
        """Put up what every page has, and keep it up to date."""
        pulse.start(self.services)
        self.first_beat = await run_in_threadpool(look, self.services, 0)
        rail = self.panel(self._rail(self.first_beat), css="rail")
        self._told = self.panel(Markup(""), css="told")
        pulse.moved.subscribe(lambda beat: rail.show(self._rail(beat)))

    def close(self) -> None:
        """Send the page as HTML along too, which a browser paints before any script has run."""
        inside = Markup("").join(self._boot)
        boot = Markup('<div id="boot" class="nicegui-content">{}</div>').format(inside)
        ui.add_body_html(str(boot))

    def panel(
        self,
        html: Markup,
        heard: Heard | None = None,
        keys: Sequence[str] = (),
        css: str = "part",
    ) -> Panel:
        """Put up a panel; what people do in it goes to `heard`."""
        self._boot.append(Markup('<div class="{}">{}</div>').format(css, html))
        return Panel(html, None if heard is None else self._guarded(heard), keys).classes(css)

    def drop(self, url: str, sent: Callable[[], Awaitable[None]], takes: Taken) -> Drop:
        return Drop(url, sent, takes, trusted=self.may(Role.REVIEWER)).classes("part")

    async def read(self, query: Callable[..., Found], *given: Any) -> Found:
        """Run a query in a thread, with a reading session first."""

        def run() -> Found:
            with self.services.parts.read() as session:
                return query(session, *given)

        return await run_in_threadpool(run)

    async def do(self, role: Role, what: str, work: Callable[[Caller], Found]) -> Found:
        """Run something that changes things in a thread, for whoever is signed in now."""

        def run() -> Found:
            caller = auth.identify(self.services, None, self._secret)
            if caller is None:
                raise NotSignedIn("your session has ended: sign in again with a new link")
            caller.demand(role, what)
            return work(caller)

        return await run_in_threadpool(run)

    def unasked(self, work: Callable[Given, Awaitable[None]]) -> Callable[Given, Awaitable[None]]:
        """Return what a page does by itself, silent once its reader has signed out: the next thing
        that somebody does there tells them."""

        @wraps(work)  # NiceGUI looks at its parameters to know what to hand over
        async def quiet(*given: Given.args, **named: Given.kwargs) -> None:
            with suppress(NotSignedIn):
                await work(*given, **named)

        return quiet

    def address(self, path: str) -> None:
        """Let the address bar say what is shown, so that it can be kept and loaded again."""
        ui.run_javascript(f"history.replaceState(null, '', {json.dumps(path)})")

    def go(self, path: str) -> None:
        """Open another page in the same window."""
        ui.navigate.to(path)

    def tell(self, message: str, kind: str = "good") -> None:
        """Say something at the edge of the page for some seconds, aloud in a screen reader."""
        self._tellings += 1
        if self._told is not None:
            html = rendered("told.html", message=message, kind=kind, number=self._tellings)
            self._told.show(html)

    def _guarded(self, heard: Heard) -> Heard:
        async def guarded(act: Act) -> None:
            try:
                await self.do(Role.VIEWER, "this page", lambda _: None)
                await heard(act)
            except (NotSignedIn, NotAllowed, PipelineError) as error:
                self.tell(str(error), "bad")
            except DatabaseError as error:
                logger.warning("a page's action failed: %s", error)
                self.tell("the database did not answer; nothing was changed, try again", "bad")

        return guarded

    def _rail(self, beat: Beat) -> Markup:
        settings = self.services.parts.settings
        badges = {
            "pending": beat.state.center.mappings["pending"],
            "alerts": len(beat.state.alerts),
        }
        return rendered(
            "rail.html",
            places=PLACES,
            here=self._place,
            badges=badges,
            caller=self.caller,
            sample=beat.state.center.sample_data,
            dagster=settings.dagster_url,
            mlflow=settings.mlflow_url,
        )
