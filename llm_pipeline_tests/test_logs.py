"""Log lines as a machine reads them."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from honcho.printer import Message

from llm_pipeline.logs import JsonLines, configure
from llm_pipeline.processes import Printer


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


def test_a_refused_websocket_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    before, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure("text")
        for message in ("ASGI callable returned without completing handshake.", "really broken"):
            logging.getLogger("uvicorn.error").error(message)
    finally:
        logging.basicConfig(handlers=before, level=level, force=True)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith("ERROR uvicorn.error: really broken\n")


def test_what_up_prints_is_objects_only(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(as_json=True)
    own = json.dumps({"level": "warning", "message": "as it was"})
    for data in (f"{own}\nplain words\n\n", b"3 \xff\n"):
        printer.write(Message("line", data, datetime.now(UTC), "mlflow", None))
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["message"] for one in found] == ["as it was", "plain words", "3 \ufffd"]
    assert found[1]["logger"] == "mlflow"


def test_what_up_prints_has_names_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(as_json=False).write(Message("line", "words", datetime.now(UTC), "mlflow", None))
    assert capsys.readouterr().out.endswith("mlflow | words\n")


def test_nothing_below_a_warning_is_written_whatever_a_library_asks_for(tmp_path: Path) -> None:
    script = (
        "import logging; from llm_pipeline import logs; logs.configure('json')\n"
        "library = logging.getLogger('library'); library.setLevel(logging.INFO)\n"
        "library.info('chatter'); library.warning('trouble')\n"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert [json.loads(line)["message"] for line in ended.stderr.splitlines()] == ["trouble"]
