"""A time limit on queries: what came in time is kept, and that it was not all is told."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from sqlalchemy import Executable, Row, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

# Steps of SQLite's virtual machine between two looks at the clock: well under a millisecond.
_STEPS = 10_000
_FETCHED_AT_ONCE = 1_000
_CANCELLED = "57014"  # PostgreSQL: query_canceled


class Deadline:
    """Runs queries of one session until its time is up; then it answers nothing any more.

    One step inside SQLite's full-text index cannot be interrupted, which is why it may be late by
    the time that index takes to go through once.
    """

    def __init__(self, session: Session, seconds: float) -> None:
        self.session = session
        self.ends = monotonic() + seconds
        self.reached = False
        self.is_sqlite = session.get_bind().dialect.name == "sqlite"

    def rows(self, statement: Executable, **planner: str) -> Sequence[Row[Any]]:
        """Return the rows that came in time; `planner` are settings of PostgreSQL for this once."""
        found: list[Row[Any]] = []
        if self._is_over():
            return found
        guard = self._sqlite() if self.is_sqlite else self._postgresql(planner)
        with guard:
            result = self.session.execute(statement)
            while batch := result.fetchmany(_FETCHED_AT_ONCE):
                found += batch
        return found

    def _is_over(self) -> bool:
        self.reached = self.reached or monotonic() >= self.ends
        return self.reached

    @contextmanager
    def _sqlite(self) -> Iterator[None]:
        connection: Any = self.session.connection().connection.driver_connection
        connection.set_progress_handler(lambda: monotonic() >= self.ends, _STEPS)
        try:
            yield
        except OperationalError as error:
            if str(error.orig) != "interrupted":
                raise
            self.reached = True
        finally:
            connection.set_progress_handler(None, 0)

    @contextmanager
    def _postgresql(self, planner: dict[str, str]) -> Iterator[None]:
        left = max(1, round((self.ends - monotonic()) * 1_000))
        settings = {"statement_timeout": str(left), **planner}
        calls = ", ".join(f"set_config('{name}', :{name}, true)" for name in settings)
        # Rolled back, and never released: that ends the settings, and a cancelled query leaves
        # the transaction as it was.
        savepoint = self.session.begin_nested()
        try:
            self.session.execute(text(f"SELECT {calls}"), settings)
            yield
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _CANCELLED:
                raise
            self.reached = True
        finally:
            savepoint.rollback()
