"""The event log as Server-Sent Events: the id of an event is its offset in the log."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from llm_pipeline.api import auth
from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.store import log

router = APIRouter(tags=["Shared state"])

Offset = Annotated[int | None, Query(ge=0, lt=2**63, description="go on after this offset")]
LastEventId = Annotated[str, Header(description="wins over `after`; not a number: ignored")]

_RECONNECT_MS = 1000
CHECK_SECONDS = 5.0


@router.get(
    "/api/llm/stream-updates",
    response_class=EventSourceResponse,
    summary="Events as they happen; resumes after an offset, else begins now",
)
async def stream_updates(
    request: Request,
    services: Given,
    _caller: Viewer,
    after: Offset = None,
    last_event_id: LastEventId = "",
) -> AsyncIterator[ServerSentEvent]:
    latest = await run_in_threadpool(_latest, services)
    # An event source whose id is refused would give up for ever.
    start = int(last_event_id) if last_event_id.isascii() and last_event_id.isdigit() else after
    position = latest if start is None else min(start, latest)
    checked = time.monotonic()
    yield ServerSentEvent(comment=f"after offset {position}", retry=_RECONNECT_MS)
    live = services.live
    while not live.stopping:
        moved = live.moved()
        page = await run_in_threadpool(_read, services, position)
        for event in page:
            yield _rendered(event)
            position = event.offset
        if not page:
            await _wait(moved)  # FastAPI sends a comment every 15 s meanwhile
        if time.monotonic() - checked > CHECK_SECONDS:
            # A token or session that was ended ends its streams too.
            if await run_in_threadpool(auth.caller_of, services, request) is None:
                return
            checked = time.monotonic()


async def _wait(moved: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(moved.wait(), CHECK_SECONDS)


def _latest(services: Services) -> int:
    with services.parts.read() as session:
        return log.latest(session)


def _read(services: Services, after: int) -> list[log.LoggedEvent]:
    with services.parts.read() as session:
        return log.read_since(session, after)


def _rendered(event: log.LoggedEvent) -> ServerSentEvent:
    facts = {"offset": event.offset, "name": event.name, "at": event.at, "actor": event.actor}
    return ServerSentEvent(data={**event.payload, **facts}, event=event.name, id=str(event.offset))
