"""How processes log: plain lines, or one JSON object a line with the log's offset."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

_PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One object a line; `offset` is how far this process had read the event log, null if it does
    not follow it."""

    def __init__(self, offset: Callable[[], int | None]) -> None:
        super().__init__()
        self._offset = offset

    def format(self, record: logging.LogRecord) -> str:
        told = line(
            datetime.fromtimestamp(record.created, UTC),
            record.levelname.lower(),
            record.name,
            record.getMessage(),
            self._offset(),
        )
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def line(
    at: datetime, level: str, logger: str, message: str, offset: int | None
) -> dict[str, object]:
    """Return the fields of a line, in their order."""
    return {
        "time": at.isoformat(timespec="milliseconds"),
        "level": level,
        "logger": logger,
        "message": message,
        "offset": offset,
    }


def configure(
    kind: Literal["text", "json"], offset: Callable[[], int | None] = lambda: None
) -> None:
    """Send warnings and worse of all loggers of this process to stderr, in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(offset) if kind == "json" else logging.Formatter(_PLAIN))
    # Great Expectations gives its loggers a level of their own, which the root's does not stop.
    handler.setLevel(logging.WARNING)
    handler.addFilter(_tells_something)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _tells_something(record: logging.LogRecord) -> bool:
    # uvicorn takes a WebSocket that was refused with an answer for one that was not answered.
    return record.msg != "ASGI callable returned without completing handshake."
