"""The dashboard on the API's own application: NiceGUI's pages, behind the same sign-in.

NiceGUI answers for its own paths only; every other path is the API's, with its errors.
"""

import base64
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import TemplateError
from nicegui import app as pages
from nicegui import core, ui
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_pipeline.api import auth, notices
from llm_pipeline.api.deps import Services
from llm_pipeline.dashboard import (
    automation,
    center,
    data,
    doubts,
    gates,
    happenings,
    insights,
    learning,
    overview,
    plans,
    recognition,
    review,
    systems,
    targets,
    uploads,
    work,
)
from llm_pipeline.dashboard.pulse import Beat, Pulse
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.errors import PipelineError
from llm_pipeline.store.state import DatabaseError

logger = logging.getLogger(__name__)

Build = Callable[[Sheet, Pulse], Awaitable[None]]


class Live(Protocol):
    """What is on a page: put up once, and told of everything that happens."""

    async def open(self) -> None: ...

    async def beat(self, new: Beat, /) -> None: ...


def _live(kind: Callable[[Sheet], Live]) -> Build:
    async def build(sheet: Sheet, pulse: Pulse) -> None:
        shown = kind(sheet)
        await shown.open()
        pulse.moved.subscribe(shown.beat)

    return build


PAGES: dict[str, tuple[str, Build]] = {
    "/": ("Overview", overview.build),
    "/center": ("LLM Center", _live(center.Center)),
    "/review": ("Review", review.build),
    "/uploads": ("Uploads", _live(uploads.Uploads)),
    "/plans": ("Plans", _live(plans.Plans)),
    "/targets": ("Targets", _live(targets.Targets)),
    "/work": ("Analytics", _live(work.Work)),
    "/ml": ("ML Dashboard", _live(learning.Learning)),
    "/recognise": ("Try and teach", recognition.build),
    "/doubts": ("Label errors", _live(doubts.Doubts)),
    "/automation": ("Automatic approval", _live(automation.Automation)),
    "/data": ("Data Management", data.build),
    "/gates": ("Quality gates", _live(gates.Gates)),
    "/systems": ("Pipeline and systems", systems.build),
    "/events": ("Events", _live(happenings.Happenings)),
    "/insights": ("Insights", _live(insights.Insights)),
}
# What a page breaks by: NiceGUI's own page for it is blank under our policy.
_OUR_FAULT = (ArithmeticError, AttributeError, LookupError, TemplateError, TypeError, ValueError)
_ASSETS = "/assets"
_OWN = ("/_nicegui/", "/_nicegui_ws/", f"{_ASSETS}/")
_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
# NiceGUI compiles templates and handlers in the browser: that needs 'unsafe-eval', and its styles
# 'unsafe-inline'. Scripts within a page run by their digests only, so nothing slipped in does.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {digests}; style-src 'self' "
    "'unsafe-inline'; font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_BUILD_SECONDS = 15.0


def mount(api: FastAPI) -> None:
    """Put the dashboard on an API; once in a process, since NiceGUI has one application in each."""
    pulse = Pulse()
    for path, (title, build) in PAGES.items():
        _add(api, pulse, path, title, build)
    pages.add_static_files(_ASSETS, Path(__file__).parent / "assets")
    # NiceGUI lets any origin open its socket; ours is the only one with business there.
    core.sio.eio.cors_allowed_origins = None
    pages.add_middleware(Hardened)
    # Quasar's bar at the top edge would flash at each request, without a name for screen readers.
    pages.config.quasar_config["loadingBar"]["skipHijack"] = True
    ui.run_with(
        api,
        title="llm_pipeline",
        favicon=_ICON,
        dark=None,
        language="en-US",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
        show_welcome_message=False,
    )
    api.router.routes.pop()  # run_with's mount would swallow every path the API has not
    api.router.default = _Either(pages, api.router.default)


def _add(api: FastAPI, pulse: Pulse, path: str, title: str, build: Build) -> None:
    @ui.page(path, title=f"{title} · llm_pipeline", response_timeout=_BUILD_SECONDS)
    async def shown(request: Request) -> Response | None:
        services: Services = api.state.services
        secret = request.cookies.get(auth.COOKIE, "")
        caller = await run_in_threadpool(auth.identify, services, None, secret)
        if caller is None:
            return _notice(notices.signin(), HTTPStatus.UNAUTHORIZED)
        sheet = Sheet(services, caller, secret, path, request.query_params)
        ui.add_head_html(_HEAD)
        try:
            await sheet.open(pulse)
            await build(sheet, pulse)
        except PipelineError as error:
            return _notice(notices.trouble(str(error)), HTTPStatus.UNPROCESSABLE_ENTITY)
        except _OUR_FAULT:
            return _broken(path)
        except DatabaseError as error:
            logger.warning("the page %s cannot be built: %s", path, error)
            told = "The database does not answer. Nothing is lost; try again in a moment."
            return _notice(notices.trouble(told), HTTPStatus.SERVICE_UNAVAILABLE)
        sheet.close()
        return None


def _broken(path: str) -> HTMLResponse:
    logger.exception("the page %s is broken", path)
    told = "This page is broken, and that is our fault: the log of the API says where."
    return _notice(notices.trouble(told), HTTPStatus.INTERNAL_SERVER_ERROR)


def _notice(notice: notices.Page, status: HTTPStatus) -> HTMLResponse:
    return HTMLResponse(notice.html, status, {"Content-Security-Policy": notice.policy})


class _Either:
    """NiceGUI for its own paths, the API's `not found` for all others."""

    def __init__(self, pages: ASGIApp, otherwise: ASGIApp) -> None:
        self._pages = pages
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        own = path in PAGES or path.startswith(_OWN)
        await (self._pages if own else self._otherwise)(scope, receive, send)


class Hardened:
    """Gives pages a policy that fits what is in them, and files that never change a long life."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started: Message = {}

        async def hardened(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith("/_nicegui/"):
                    headers["Cache-Control"] = "public, max-age=31536000, immutable"
                if headers.get("x-nicegui-content") == "page":
                    started = message
                    return
            elif started:
                html = message.get("body", b"").decode()
                headers = MutableHeaders(scope=started)
                headers["Content-Security-Policy"] = _policy(html)
                await send(started)
                started = {}
            await send(message)

        await self.app(scope, receive, hardened)


def _policy(html: str) -> str:
    digests = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(html))
    told = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return _POLICY.format(digests=told)


_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' "
    "rx='8' fill='#0d6470'/><path d='M8 11h7l4 10h5M8 21h5' fill='none' stroke='#fff' "
    "stroke-width='3' stroke-linecap='round' stroke-linejoin='round'/></svg>"
)
_HEAD = (
    f'<script src="{_ASSETS}/shell.js"></script>'
    f'<link rel="stylesheet" href="{_ASSETS}/dashboard.css">'
)
