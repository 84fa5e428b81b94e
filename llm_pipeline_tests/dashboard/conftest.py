"""Fixtures of the dashboard's tests: a server in a process of its own, and a browser if there is
one.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from llm_pipeline.api.auth import COOKIE, SESSION_LASTS
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role
from llm_pipeline.store import credentials
from llm_pipeline.store.engine import open_engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import free_port, prepare
from llm_pipeline_tests.dashboard.servers import Servers

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
START_SECONDS = 120
SLOW_MACHINE_MS = 60_000
expect.set_options(timeout=SLOW_MACHINE_MS)


class Dashboard:
    """A running dashboard, and a session for every role."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = settings.api_url

    def client(self, role: str = "reviewer") -> httpx.Client:
        return httpx.Client(base_url=self.url, cookies={COOKIE: f"{role}-session"}, timeout=60)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.close()


@pytest.fixture
def dashboard(tmp_path: Path, servers: Servers) -> Iterator[Dashboard]:
    port = free_port()
    settings = Settings(home=tmp_path, api_port=port, dagster_port=1, mlflow_port=1)
    prepare(settings).dispose()
    engine = open_engine(settings.store_url)
    with transaction(engine) as session:
        for role in Role:
            who = credentials.Identity(role.value, role)
            secret = f"{role.value}-session"
            credentials.add(session, "session", secret, who, now(), now() + SESSION_LASTS)
    engine.dispose()
    given = {"LLM_PIPELINE_HOME": str(tmp_path), "LLM_PIPELINE_API_PORT": str(port)}
    # Nothing listens on port 1: Dagster and MLflow are down in these tests.
    away = {"LLM_PIPELINE_DAGSTER_PORT": "1", "LLM_PIPELINE_MLFLOW_PORT": "1"}
    process = servers.start({**given, **away})
    try:
        _wait(settings.api_url)
        yield Dashboard(settings)
    finally:
        servers.end(process)


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the dashboard did not start")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser for the tests of this package only: while Playwright runs, its event loop runs in
    the main thread, where Dagster and MLflow want to start one of their own.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"NO BROWSER: none of {', '.join(BROWSERS)} is installed here")
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
        browser = playwright.chromium.launch(executable_path=found, args=options)
        yield browser
        browser.close()


@pytest.fixture
def signed_in(dashboard: Dashboard, browser: Browser) -> Iterator[BrowserContext]:
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "reviewer")
        yield context


def sign_in(context: BrowserContext, dashboard: Dashboard, role: str) -> None:
    context.set_default_timeout(SLOW_MACHINE_MS)
    context.add_cookies([{"name": COOKIE, "value": f"{role}-session", "url": dashboard.url}])


def opened(context: BrowserContext, path: str) -> Page:
    """Open a page and wait until its scripts run."""
    page = context.new_page()
    page.goto(path)
    page.wait_for_selector("#boot", state="detached")
    return page
