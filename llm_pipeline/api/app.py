"""The application without its pages: routes, errors, edge, and what runs beside them."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from threading import Lock
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from starlette.concurrency import run_in_threadpool

from llm_pipeline import logs, tracing
from llm_pipeline.api import (
    analytics,
    auth,
    automation,
    center,
    data,
    errors,
    export,
    health,
    infrastructure,
    label_errors,
    learning,
    metrics,
    ml,
    models,
    performance,
    pipeline_health,
    plans,
    quality,
    queue,
    reconcile,
    site,
    state,
    stream,
    targets,
    targets_leaving,
    uploads,
    webhooks,
)
from llm_pipeline.api.deps import Services
from llm_pipeline.api.edge import BodyLimit, HardenedHeaders
from llm_pipeline.api.errors import Problem
from llm_pipeline.api.intake import INCOMING
from llm_pipeline.api.live import Live
from llm_pipeline.api.measuring import Measured, Requests
from llm_pipeline.api.own_numbers import OwnNumbers
from llm_pipeline.api.plan_worker import PlanWorker
from llm_pipeline.api.watcher import watcher_of
from llm_pipeline.api.webhook_worker import WebhookWorker
from llm_pipeline.api.worker import UploadWorker
from llm_pipeline.config import Settings
from llm_pipeline.store import words
from llm_pipeline.wiring import Parts

ROUTERS: tuple[APIRouter, ...] = (
    center.router,
    targets_leaving.router,
    plans.router,
    export.router,
    targets.router,
    uploads.router,
    analytics.router,
    queue.router,
    ml.router,
    performance.router,
    models.router,
    data.router,
    infrastructure.router,
    pipeline_health.router,
    metrics.router,
    label_errors.router,
    automation.router,
    quality.router,
    learning.router,
    state.router,
    stream.router,
    webhooks.router,
    reconcile.router,
)
# Streams end by themselves at shutdown; this is for a client that does not read what it is sent.
GRACEFUL_SECONDS = 2


class Application(FastAPI):
    """Describes itself with the role that each route needs, once somebody asks: building the
    description takes longer than all else that a start does."""

    _describing = Lock()

    def openapi(self) -> dict[str, Any]:
        with self._describing:
            if self.openapi_schema is None:
                paths = super().openapi()["paths"]
                for (method, path), role in auth.roles(self).items():
                    paths[path][method.lower()]["x-role"] = role.value
            return super().openapi()


def create_app(settings: Settings | None = None) -> Application:
    """Build the application; the database is opened when it starts."""
    chosen = settings or Settings()
    app = Application(
        title="llm_pipeline",
        version=version("llm-pipeline"),
        lifespan=partial(_lifespan, chosen),
        docs_url=None,  # FastAPI's pages load their scripts from a CDN; site.py has its own
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router, responses={"4XX": {"model": Problem}})
    app.include_router(health.router)
    app.include_router(site.build())
    app.add_middleware(
        BodyLimit,
        upload_paths=(uploads.PATH, models.IMPORT_PATH, targets.FILE_PATH),
        max_upload_bytes=chosen.max_upload_mb * 2**20,
    )
    errors.install(app)
    app.add_middleware(HardenedHeaders)
    app.state.requests = Requests()
    app.add_middleware(Measured, requests=app.state.requests)
    if tracing.start("llm_pipeline api"):
        FastAPIInstrumentor.instrument_app(app)
    return app


@asynccontextmanager
async def _lifespan(settings: Settings, app: FastAPI) -> AsyncIterator[None]:
    services = await run_in_threadpool(_open, settings, app.state.requests)
    app.state.services = services
    services.live.start(asyncio.get_running_loop())
    services.worker.start()
    services.plans.start()
    services.watcher.start()
    services.numbers.start()
    services.webhooks.start()
    try:
        yield
    finally:
        await run_in_threadpool(_close, services)


def _open(settings: Settings, requests: Requests) -> Services:
    parts = Parts(settings)
    parts.migrate()
    with parts.read() as session:
        words.vocabulary(session)  # or the first search would wait for it,
        words.known(session)  # and for this the first decision
    uploads_folder = settings.path("uploads")
    uploads_folder.mkdir(parents=True, exist_ok=True)
    for broken_off in uploads_folder.glob(f"{INCOMING}*"):
        shutil.rmtree(broken_off, ignore_errors=True)
    live = Live(parts)
    watcher = watcher_of(parts, live, requests)
    return Services(
        parts,
        live,
        UploadWorker(parts),
        PlanWorker(parts),
        requests,
        watcher,
        OwnNumbers(parts, live, requests),
        WebhookWorker(parts),
    )


def _close(services: Services) -> None:
    services.watcher.stop()
    services.numbers.stop()
    services.live.stop()
    services.webhooks.stop()
    services.worker.stop()
    services.plans.stop()
    services.parts.engine.dispose()
    tracing.flush()


class Server(uvicorn.Server):
    """Ends open streams first: uvicorn would wait for them before it stops the application."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host,
                port,
                log_level="warning",
                log_config=None,  # its lines look as all others
                ws="websockets-sansio",
                timeout_graceful_shutdown=GRACEFUL_SECONDS,
            )
        )
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.started:
            # Nothing is open yet that needs an orderly end, and learning what was approved since
            # the last model may take a while.
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services: Services | None = getattr(self._app.state, "services", None)
        if services is not None:
            services.live.end_streams()
        await super().shutdown(sockets)


def _offset(app: FastAPI) -> int | None:
    services: Services | None = getattr(app.state, "services", None)
    return None if services is None else services.live.told


def serve(settings: Settings, app: FastAPI) -> None:
    """Run an application until a signal ends it."""
    logs.configure(settings.log_format, partial(_offset, app))
    # uvicorn has stopped cleanly by then; it raises a Ctrl-C again for whoever called it.
    with suppress(KeyboardInterrupt):
        Server(app, settings.host, settings.api_port).run()
