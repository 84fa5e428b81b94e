"""Connections and transactions. Callers open one; steps receive its session and never commit."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from llm_pipeline.store.turns import turn

__all__ = [
    "Database",
    "Engine",
    "Session",
    "migrate",
    "open_engine",
    "reading",
    "sparing",
    "transaction",
]

BUSY_TIMEOUT_MS = 30_000
LOOK_SECONDS = 0.002
# As many connections as the API has threads, or writers that wait for a lock keep readers out.
MOST_CONNECTIONS = 40
ADVISORY_LOCK = 0x6C6C6D70  # "llmp": any number, the same in every process


CANNOT_CONNECT = (ArgumentError, OperationalError, ModuleNotFoundError)


def open_engine(url: str) -> Engine:
    """Connect to `sqlite:///FILE` or `postgresql+psycopg://...`; nothing is created or migrated."""
    if not url.startswith("sqlite"):
        # Days and weeks are counted in SQL, and in UTC wherever the server stands.
        zone = {"options": "-c timezone=UTC"}
        return create_engine(
            url, pool_pre_ping=True, connect_args=zone, max_overflow=MOST_CONNECTIONS
        )
    engine = create_engine(url, max_overflow=MOST_CONNECTIONS)
    engine.dialect.statement_compiler = _TakesHints
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


class _TakesHints(SQLiteCompiler):
    """Writes `Select.with_hint` after the table: SQLAlchemy leaves hints out for SQLite, whose
    planner sometimes must be told the index (INDEXED BY)."""

    def get_from_hint_text(self, table: object, text: str | None) -> str | None:
        return text


@contextmanager
def sparing(database: "Database") -> Iterator["Database"]:
    """The same database for questions about all its rows: SQLite sorts them in files then, where
    others let it sort a few in memory; five million held over 560 MB there."""
    if database.engine.dialect.name != "sqlite" or database.connection is not None:
        yield database
        return
    engine = open_engine(database.engine.url.render_as_string(hide_password=False))
    event.listen(engine, "connect", _sort_in_files)
    try:
        yield Database(engine)
    finally:
        engine.dispose()


def _sort_in_files(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA temp_store = FILE").close()
    connection.execute("PRAGMA cache_size = -16384").close()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "journal_mode = WAL",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -65536",
        # 64 MB: the pages that an upload writes again and again reach the database once.
        "wal_autocheckpoint = 16000",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that reads and then writes fails at once when another writer came
    # between (43,000 errors in one measured run); IMMEDIATE waits for its turn instead.
    if connection.get_execution_options().get("writes", False):
        _begin_in_turn(connection)
    else:
        connection.exec_driver_sql("BEGIN")


def _begin_in_turn(connection: Connection) -> None:
    """Wait for the writers of other processes as `turns` does for those of this one: SQLite itself
    lets who waits sleep up to 100 ms between two looks, which miss the pauses of an upload."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        while not _began(connection, last=time.monotonic() > deadline):
            time.sleep(LOOK_SECONDS)
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


def _began(connection: Connection, *, last: bool) -> bool:
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        if last or code & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


@contextmanager
def transaction(engine: Engine | Connection) -> Iterator[Session]:
    """Write: commits when the block ends, rolls back when it raises.

    Writers take turns, on PostgreSQL too: one that changed a mapping and then waited for the log,
    beside one that held the log and wanted the mapping, were a deadlock.
    """
    options = {"writes": True, **_isolated(engine, "READ COMMITTED")}
    writes = engine.execution_options(**options)
    with _turn(engine), Session(writes) as session, session.begin():
        take_log(session)
        _expect_lookups(session)
        yield session


def _turn(engine: Engine | Connection) -> AbstractContextManager[None]:
    address = engine.engine.url
    if address.get_backend_name() != "sqlite":
        return nullcontext()
    return turn(str(address), BUSY_TIMEOUT_MS / 1000)


def _expect_lookups(session: Session) -> None:
    """Tell PostgreSQL that pages come from memory or a fast disk: by default it takes a thousand
    lookups for slower than going through a million rows."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL random_page_cost = 1.1"))


def take_log(session: Session) -> None:
    """Hold the log, and with it the right to write, until this transaction ends."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})


@contextmanager
def reading(engine: Engine | Connection) -> Iterator[Session]:
    """Read one consistent state; waits for nobody on SQLite."""
    options = {"writes": False, **_isolated(engine, "REPEATABLE READ")}
    with Session(engine.execution_options(**options)) as session, session.begin():
        yield session


def _isolated(engine: Engine | Connection, level: str) -> dict[str, str]:
    return {"isolation_level": level} if engine.dialect.name == "postgresql" else {}


@dataclass(frozen=True, slots=True)
class Database:
    """For steps that need several transactions: a way to begin one, and to read without waiting."""

    engine: Engine
    connection: Connection | None = None

    def begin(self) -> AbstractContextManager[Session]:
        return transaction(self.connection or self.engine)

    def read(self) -> AbstractContextManager[Session]:
        return reading(self.connection or self.engine)

    @contextmanager
    def held(self) -> Iterator["Database"]:
        """Let several transactions share a connection, and with it temporary tables."""
        with self.engine.connect() as connection:
            yield replace(self, connection=connection)


def migrate(engine: Engine) -> None:
    """Bring the database to the newest schema; safe to call again."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
