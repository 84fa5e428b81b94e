"""What the pages of all browsers are told when something happened: one look at the store a change.

A look costs the same for one open page as for two hundred; while none is open there is none.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from markupsafe import Markup
from nicegui import Event, background_tasks
from starlette.concurrency import run_in_threadpool

from llm_pipeline.api.deps import Services
from llm_pipeline.api.state import StateOut, state_of
from llm_pipeline.errors import PipelineError
from llm_pipeline.store import log
from llm_pipeline.store.state import DatabaseError

logger = logging.getLogger(__name__)

LATEST = 12
# Pages hear at once of what happens, and then not again for so long: a bulk upload is hundreds of
# events, and a look for each would be of use to nobody.
REST_SECONDS = 0.2
WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Beat:
    """The shared state at an offset, the newest events, and which names are new since the last."""

    state: StateOut
    latest: Sequence[log.LoggedEvent]
    names: frozenset[str]


class Pulse:
    """Follows the log for the pages of one server."""

    def __init__(self) -> None:
        self._services: Services
        self.moved = Event[Beat]()
        self._offset = 0
        self._task: asyncio.Task[None] | None = None
        self._rendered: dict[object, tuple[int, asyncio.Task[Markup]]] = {}

    def start(self, services: Services) -> None:
        """Begin to follow the log, unless that is done already; pages call it when they open."""
        self._services = services
        if self._task is None or self._task.done():
            self._task = background_tasks.create(self._follow(services), name="pulse")

    async def once(self, beat: Beat, render: Callable[[Services, Beat], Markup]) -> Markup:
        """Return what all pages show alike at a beat, rendered by the first that asks."""
        offset, task = self._rendered.get(render, (-1, None))
        if task is None or offset != beat.state.offset:
            work = run_in_threadpool(render, self._services, beat)
            task = background_tasks.create(work, name="render")
            self._rendered[render] = (beat.state.offset, task)
        return await asyncio.shield(task)

    async def _follow(self, services: Services) -> None:
        live = services.live
        while not live.stopping:
            moved = live.moved()
            try:
                told = bool(self.moved.callbacks) and await self._beat(services)
            except (DatabaseError, PipelineError) as error:
                logger.warning("pages cannot be brought up to date, trying again: %s", error)
                told = True
            if told:
                await asyncio.sleep(REST_SECONDS)
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), WAIT_SECONDS)

    async def _beat(self, services: Services) -> bool:
        beat = await run_in_threadpool(look, services, self._offset)
        if beat.state.offset == self._offset:
            return False
        self._offset = beat.state.offset
        self.moved.emit(beat)
        return True


def look(services: Services, since: int) -> Beat:
    """Return how things stand now, and the names of what happened since an offset."""
    with services.parts.read() as session:
        state = state_of(session, services)
        latest = log.newest(session, LATEST)
        new = log.read_since(session, since) if since else latest
    return Beat(state, latest, frozenset(event.name for event in new))
