"""A time limit on queries: what came in time is kept, and that it was not all is told."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Self, cast

from sqlalchemy import CursorResult, Executable, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, SessionTransaction

# Steps of SQLite's virtual machine between two looks at the clock: well under a millisecond.
_STEPS = 10_000
_FETCHED_AT_ONCE = 1_000
_CANCELLED = "57014"  # PostgreSQL: query_canceled
# It takes tokens for more frequent than they are: to start helpers for 162 rows took 20 ms, and to
# compile a query may take longer than all of it.
_PLAIN = {"max_parallel_workers_per_gather": "0", "jit": "off"}


class Deadline:
    """Runs queries of one session until its time is up; then it answers nothing any more.

    One step inside SQLite's full-text index cannot be interrupted, which is why it may be late by
    the time that index takes to go through once.
    """

    def __init__(self, session: Session, seconds: float) -> None:
        self.session = session
        self.seconds = seconds
        self.ends = monotonic() + seconds
        self.reached = False
        self.is_sqlite = session.get_bind().dialect.name == "sqlite"
        self._savepoint: SessionTransaction | None = None
        self._planner: dict[str, str] = {}
        self.ids: tuple[int, int] | None = None  # the first and the last there are, once known

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._leave()

    def prepare(self, **planner: str) -> None:
        """Make PostgreSQL ready for a query with such settings; that tells `ids` on the way."""
        if not self.is_sqlite and not self.reached:
            with self._postgresql(planner):
                pass

    def rows(self, statement: Executable, **planner: str) -> list[tuple[Any, ...]]:
        """Return the rows that came in time; `planner` are settings of PostgreSQL for this once.

        They are plain tuples of the driver: SQLAlchemy's rows cost four times the query.
        """
        found: list[tuple[Any, ...]] = []
        self.reached = self.reached or monotonic() >= self.ends
        if self.reached:
            return found
        with self._sqlite() if self.is_sqlite else self._postgresql(planner):
            result = cast("CursorResult[Any]", self.session.execute(statement))
            while batch := result.cursor.fetchmany(_FETCHED_AT_ONCE):
                found += batch
            result.close()
        return found

    @contextmanager
    def _sqlite(self) -> Iterator[None]:
        connection: Any = self.session.connection().connection.driver_connection
        connection.set_progress_handler(lambda: monotonic() >= self.ends, _STEPS)
        try:
            yield
        except (OperationalError, sqlite3.OperationalError) as error:
            if str(getattr(error, "orig", error)) != "interrupted":
                raise
            self.reached = True
        finally:
            connection.set_progress_handler(None, 0)

    @contextmanager
    def _postgresql(self, planner: dict[str, str]) -> Iterator[None]:
        try:
            self._set(planner)
            yield
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _CANCELLED:
                raise
            self.reached = True
            self._leave()

    def _set(self, planner: dict[str, str]) -> None:
        """Settings hold until the savepoint is rolled back; one round trip when they change."""
        if self._savepoint is None:
            self._savepoint = self.session.begin_nested()
            self._planner = {}
        defaults = dict.fromkeys(self._planner.keys() - planner.keys(), "on")
        limit = {"statement_timeout": f"{self.seconds * 1_000:.0f}"}
        wanted = {**defaults, **_PLAIN, **limit, **planner}
        changed = {
            name: value for name, value in wanted.items() if self._planner.get(name) != value
        }
        if changed:
            calls = ", ".join(f"set_config('{name}', :{name}, true)" for name in changed)
            ends = "(SELECT min(id) FROM mappings), (SELECT max(id) FROM mappings)"
            row = self.session.execute(text(f"SELECT {ends}, {calls}"), changed).one()
            self.ids = self.ids or (row[0] or 1, row[1] or 0)
            self._planner |= changed

    def _leave(self) -> None:
        # Rolled back and never released: that ends the settings, and after a cancelled query the
        # transaction stands as before.
        if self._savepoint is not None:
            self._savepoint.rollback()
            self._savepoint = None
