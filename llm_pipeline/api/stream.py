"""The event log as Server-Sent Events: the id of an event is its offset in the log."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.store import log

router = APIRouter(tags=["Shared state"])

Offset = Annotated[int | None, Query(ge=0, lt=2**63, description="go on after this offset")]
LastEventId = Annotated[int | None, Header(ge=0, lt=2**63, description="wins over `after`")]

_RECONNECT_MS = 1000


@router.get(
    "/api/llm/stream-updates",
    response_class=EventSourceResponse,
    summary="Events as they happen; resumes after an offset, else begins now",
)
async def stream_updates(
    services: Given, _caller: Viewer, after: Offset = None, last_event_id: LastEventId = None
) -> AsyncIterator[ServerSentEvent]:
    start = after if last_event_id is None else last_event_id
    position = await run_in_threadpool(_latest, services) if start is None else start
    yield ServerSentEvent(comment=f"after offset {position}", retry=_RECONNECT_MS)
    live = services.live
    while not live.stopping:
        moved = live.moved()
        page = await run_in_threadpool(_read, services, position)
        for event in page:
            yield _rendered(event)
            position = event.offset
        if not page:
            await moved.wait()  # FastAPI sends a comment every 15 s meanwhile


def _latest(services: Services) -> int:
    with services.parts.read() as session:
        return log.latest(session)


def _read(services: Services, after: int) -> list[log.LoggedEvent]:
    with services.parts.read() as session:
        return log.read_since(session, after)


def _rendered(event: log.LoggedEvent) -> ServerSentEvent:
    facts = {"offset": event.offset, "name": event.name, "at": event.at, "actor": event.actor}
    return ServerSentEvent(data={**event.payload, **facts}, event=event.name, id=str(event.offset))
