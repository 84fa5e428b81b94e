"""The log followed from an offset on, page by page: what every stream sends, however it sends it.

A stream holds at most one page, and reads the next when its client has taken that one: a slow
client costs nothing but the time of its own answers.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from llm_pipeline.api.deps import Services
from llm_pipeline.domain.events import EVENTS
from llm_pipeline.store import log

PAGE = 500
CHECK_SECONDS = 5.0


def named(*subjects: str) -> tuple[str, ...]:
    """Return the names of all events about some subjects.

    >>> named("alert")
    ('alert:acknowledged', 'alert:raised', 'alert:resolved')
    """
    return tuple(sorted(name for name in EVENTS if name.partition(":")[0] in subjects))


@dataclass(frozen=True, slots=True)
class Followed:
    """The next events, and the offset up to which a stream has now seen everything it wants."""

    events: list[log.LoggedEvent]
    offset: int


async def begin(services: Services, last_event_id: str, after: int | None) -> int:
    """Return the offset after which a stream begins: now, unless its client says otherwise.

    What is no number is ignored: an event source whose id is refused would give up for ever.
    """
    latest = await run_in_threadpool(_latest, services)
    last = last_event_id if last_event_id.isascii() and last_event_id.isdigit() else ""
    start = int(last) if last else after
    return latest if start is None else min(start, latest)


async def demand(services: Services, last_event_id: str, after: int | None) -> None:
    """Raise Gone where a stream cannot begin, because what comes next is deleted."""
    start = await begin(services, last_event_id, after)
    await run_in_threadpool(_demand, services, start)


async def follow(
    services: Services,
    after: int,
    names: tuple[str, ...],
    may_go_on: Callable[[], bool],
) -> AsyncIterator[Followed]:
    """Yield what comes after an offset as it comes, and at least every few seconds something.

    It ends when the server stops, or when `may_go_on`, asked every few seconds in a thread, says
    that a token or session has ended.
    """
    live, offset, checked = services.live, after, time.monotonic()
    while not live.stopping:
        moved = live.moved()
        found = await _shared(services, moved, offset, names)
        yield found
        offset = found.offset
        if not found.events:
            with suppress(TimeoutError):
                await asyncio.wait_for(moved.wait(), CHECK_SECONDS)
        if time.monotonic() - checked > CHECK_SECONDS:
            if not await run_in_threadpool(may_go_on):
                return
            checked = time.monotonic()


async def _shared(
    services: Services, moved: asyncio.Event, after: int, names: tuple[str, ...]
) -> Followed:
    """Read once for all streams that a move of the log woke at the same place.

    A read that began before the last move is not shared: it may not have seen it.
    """
    reads = services.live.reads
    key = (moved, after, names)
    task = reads.get(key)
    if task is None:
        task = asyncio.create_task(run_in_threadpool(_read, services, after, names))
        reads[key] = task
        task.add_done_callback(lambda _: reads.pop(key, None))
    return await asyncio.shield(task)


def _demand(services: Services, after: int) -> None:
    with services.parts.read() as session:
        log.demand(session, after)


def _latest(services: Services) -> int:
    with services.parts.read() as session:
        return log.latest(session)


def _read(services: Services, after: int, names: tuple[str, ...]) -> Followed:
    with services.parts.read() as session:
        latest = log.latest(session)
        if latest <= after:
            return Followed([], after)
        events = log.read_since(session, after, PAGE, names)
    # The log was seen up to `latest` unless the page is full: then only up to its last event.
    return Followed(events, events[-1].offset if len(events) == PAGE else latest)
