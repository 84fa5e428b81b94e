"""The event log as streams: Server-Sent Events, and a WebSocket on the same path.

The id of an event is its offset in the log.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.sse import EventSourceResponse, ServerSentEvent

from llm_pipeline.api import auth
from llm_pipeline.api.auth import ViewerSocket, require
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.api.following import begin, demand, follow, named
from llm_pipeline.domain.records import Role
from llm_pipeline.store.log import LoggedEvent

router = APIRouter(tags=["Shared state"])

Offset = Annotated[int | None, Query(ge=0, lt=2**63, description="go on after this offset")]
LastEventId = Annotated[str, Header(description="wins over `after`; not a number: ignored")]

STREAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "/api/llm/stream-updates": ("Every event as it happens", ()),
    "/api/ml/stream-metrics": (
        "What is learned, recognised and measured, as it happens",
        named("model", "training_set", "text", "labels", "label", "report", "metrics", "component"),
    ),
    "/api/llm-data/stream-status": (
        "Files, gates, alerts, components and reports as they happen",
        named("upload", "gate", "alert", "component", "report", "metrics"),
    ),
}
_RESUMES = "; resumes after an offset, else begins now"
_RECONNECT_MS = 1000
# A client that takes nothing for so long is gone, or too slow to be of use: it resumes later.
_SEND_SECONDS = 30.0


async def _reachable(
    services: Given, after: Offset = None, last_event_id: LastEventId = ""
) -> None:
    await demand(services, last_event_id, after)


def _add(path: str, summary: str, names: tuple[str, ...]) -> None:
    @router.get(
        path,
        response_class=EventSourceResponse,
        summary=summary + _RESUMES,
        # Before the first byte: a stream that has begun cannot say 410 any more.
        dependencies=[require(Role.VIEWER), Depends(_reachable)],
    )
    async def events(
        request: Request, services: Given, after: Offset = None, last_event_id: LastEventId = ""
    ) -> AsyncIterator[ServerSentEvent]:
        start = await begin(services, last_event_id, after)
        yield ServerSentEvent(comment=f"after offset {start}", retry=_RECONNECT_MS)
        # FastAPI sends a comment every 15 s meanwhile.
        async for found in follow(services, start, names, lambda: _knows(services, request)):
            for event in found.events:
                yield ServerSentEvent(data=_facts(event), event=event.name, id=str(event.offset))

    @router.websocket(path)
    async def socket(
        websocket: WebSocket,
        services: Given,
        _caller: ViewerSocket,
        after: Offset = None,
        last_event_id: LastEventId = "",
    ) -> None:
        await demand(services, last_event_id, after)
        await websocket.accept()
        start = await begin(services, last_event_id, after)
        sending = asyncio.create_task(_send(websocket, services, start, names))
        leaving = asyncio.create_task(_until_it_leaves(websocket))
        # A client that hangs up is noticed at once, not when the next event cannot be sent.
        await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        for task in (sending, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, WebSocketDisconnect, TimeoutError):
                await task
        with suppress(RuntimeError, WebSocketDisconnect):  # it is closed already
            await websocket.close()


async def _send(
    websocket: WebSocket, services: Services, start: int, names: tuple[str, ...]
) -> None:
    """Send one message an event, and `{"offset"}` alone as heartbeat while nothing happens."""
    await _text(websocket, {"offset": start})
    async for found in follow(services, start, names, lambda: _knows(services, websocket)):
        for event in found.events:
            await _text(websocket, _facts(event))
        if not found.events:
            await _text(websocket, {"offset": found.offset})


async def _text(websocket: WebSocket, message: dict[str, object]) -> None:
    told = json.dumps(message, ensure_ascii=False, default=str)
    await asyncio.wait_for(websocket.send_text(told), _SEND_SECONDS)


async def _until_it_leaves(websocket: WebSocket) -> None:
    while True:
        await websocket.receive_text()  # what a client says is of no interest


def _knows(services: Services, request: Request | WebSocket) -> bool:
    return auth.caller_of(services, request) is not None


def _facts(event: LoggedEvent) -> dict[str, object]:
    at = event.at.isoformat()
    facts = {"offset": event.offset, "name": event.name, "at": at, "actor": event.actor}
    return {**event.payload, **facts}


for _path, (_summary, _names) in STREAMS.items():
    _add(_path, _summary, _names)
