"""Log lines as a machine reads them."""

import json
import logging
from datetime import UTC, datetime

from llm_pipeline.logs import JsonLines


def formatted(record: logging.LogRecord) -> dict[str, object]:
    told = JsonLines(lambda: 41).format(record)
    assert "\n" not in told
    found: dict[str, object] = json.loads(told)
    return found


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    about = (type(error), error, None) if error else None
    return logging.LogRecord("llm_pipeline.api", logging.WARNING, "", 1, message, args, about)


def test_a_line_is_one_object_with_the_offset() -> None:
    found = formatted(record("upload %s\nwaits for\u2028the database", 7))
    at = datetime.fromisoformat(str(found.pop("time")))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert found == {
        "level": "warning",
        "logger": "llm_pipeline.api",
        "message": "upload 7\nwaits for\u2028the database",
        "offset": 41,
    }


def test_an_exception_is_in_its_line() -> None:
    assert "ZeroDivisionError: by nothing" in str(
        formatted(record("failed", error=ZeroDivisionError("by nothing")))["exception"]
    )
