"""A real server on a free port over a real SQLite store, for the tests of the API."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from llm_pipeline.api.app import Server, create_app
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role, Target
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import credentials
from llm_pipeline.store.engine import Engine, open_engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests import templates

TARGETS = [
    Target("SBUX", "Starbucks", "Coffee", {"sample": "true"}),
    Target("AMZN", "Amazon", "Retail"),
    Target("BLUE", "Blue Bottle Coffee", "Coffee"),
]


def token(role: str) -> str:
    return f"{role}-token"


def headers(role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(role)}"}


def prepare(settings: Settings) -> Engine:
    """Create a store with a catalogue and a token for every role, and an MLflow beside it."""
    settings.path().mkdir(parents=True, exist_ok=True)
    templates.copy_installation(settings.path())
    engine = open_engine(settings.store_url)
    with transaction(engine) as session:
        load_targets(session, TARGETS, "test", now())
        for role in Role:
            identity = credentials.Identity(role.value, role)
            credentials.add(session, "token", token(role), identity, now())
    return engine


class Running:
    """A started server: a client for each role, and the application behind it."""

    def __init__(self, app: FastAPI, url: str) -> None:
        self.app = app
        self.url = url

    def tasks(self) -> set[asyncio.Task[Any]]:
        """What the server's event loop is doing."""
        return asyncio.all_tasks(self.app.state.services.live.loop)

    def client(self, role: str | None = "admin") -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=headers(role) if role else {}, timeout=30)


@contextmanager
def running(
    settings: Settings, prepared: Callable[[FastAPI], None] | None = None
) -> Iterator[Running]:
    app = create_app(settings)
    if prepared is not None:
        prepared(app)
    port = free_port()
    server = Server(app, "127.0.0.1", port)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield Running(app, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(check: Callable[[], bool], seconds: float = 60) -> None:
    """Poll until a check holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
