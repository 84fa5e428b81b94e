"""What every request and every answer passes: a limit on bodies, and headers that harden pages."""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_JSON_BYTES = 32 * 2**20
_MULTIPART_OVERHEAD = 2**16
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: with it browsers send `Origin: null` even to the page's own site.
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class BodyLimit:
    """Answers 413 to a body that is too long: at once if it says so, else when it gets there.

    Starlette's own limiter answers in plain text.
    """

    def __init__(self, app: ASGIApp, upload_paths: Collection[str], max_upload_bytes: int) -> None:
        self.app = app
        self.upload_paths = upload_paths
        self.max_upload_bytes = max_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = MAX_JSON_BYTES
        if scope["path"] in self.upload_paths:
            limit = self.max_upload_bytes + _MULTIPART_OVERHEAD
        announced = Headers(scope=scope).get("content-length", "")
        received = int(announced) if announced.isdecimal() and int(announced) > limit else 0

        async def counted() -> Message:
            nonlocal received
            if received <= limit:
                message = await receive()
                received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, f"the body is longer than {limit} bytes; split it")
            return message

        await self.app(scope, counted, send)


class HardenedHeaders:
    """Adds security headers to every answer that has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, hardened)
