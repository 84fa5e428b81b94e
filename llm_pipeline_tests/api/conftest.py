"""Fixtures of the API's tests: settings, a prepared store, a running server, an admin's client."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from llm_pipeline.api.auth import SESSION_LASTS
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role
from llm_pipeline.store import credentials
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, prepare, running


@pytest.fixture(autouse=True)
def lots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lots that fall the same in every run: none of the first sixty texts is drawn by itself."""
    monkeypatch.setattr("llm_pipeline.api.center.DICE", Random(2))  # noqa: S311


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, max_upload_mb=1)


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = prepare(settings)
    yield engine
    engine.dispose()


@pytest.fixture
def server(settings: Settings, engine: Engine) -> Iterator[Running]:
    with running(settings) as started:
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def session_cookie(engine: Engine) -> str:
    """The secret of a signed-in reviewer's session."""
    with transaction(engine) as session:
        reviewer = credentials.Identity("reviewer", Role.REVIEWER)
        credentials.add(session, "session", "cookie", reviewer, now(), now() + SESSION_LASTS)
    return "cookie"
