"""A time limit on what a request may ask of the database; it ends in an error, not in half an
answer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from llm_pipeline.errors import InvalidInput

# Steps of SQLite's virtual machine between two looks at the clock: well under a millisecond.
_STEPS = 10_000
_CANCELLED = "57014"  # PostgreSQL: query_canceled


@contextmanager
def limited(session: Session, seconds: float, advice: str) -> Iterator[None]:
    """Raise InvalidInput with some advice if the statements of a block take longer."""
    ends = monotonic() + seconds
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}"))
        driver: Any = None
    else:
        driver = session.connection().connection.driver_connection
        driver.set_progress_handler(lambda: monotonic() >= ends, _STEPS)
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELLED and str(error.orig) != "interrupted":
            raise
        raise InvalidInput(f"this takes longer than {seconds:g} s; {advice}") from error
    finally:
        if driver is not None:
            driver.set_progress_handler(None, 0)
