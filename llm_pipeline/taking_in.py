"""One upload into the store, whatever happens to it; a large one in a process of its own.

Threads of a process share its interpreter: beside 300,000 rows in a thread of the API a decision
took 8 times as long as alone, beside a process 3 times. Such a process gets what it needs as a line
of JSON, and ends with whoever holds its standard input open, not by the signals sent to them: at
once, since what it has committed stays, and the rest is read again.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from typing import Literal

from llm_pipeline import logs, tracing
from llm_pipeline.errors import PipelineError
from llm_pipeline.steps.ingest import Progress, take_in
from llm_pipeline.store import staged, uploads
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.tracing import span

logger = logging.getLogger(__name__)

# Most files below that are in before a process could begin; a packed one may take longer.
OWN_PROCESS_BYTES = 4 * 2**20
_LOOK_SECONDS = 0.1
# Whoever sends these to every process they find ends the API too, and the next one goes on.
_ASKED_TO_END = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


class Outcome(IntEnum):
    """What became of an upload: in (or failed, and the store says why), left where it was because
    of a stop, or not, as the database does not answer."""

    ENDED = 0
    STOPPED = 10
    UNAVAILABLE = 11


def here(database: Database, upload: uploads.Upload, stopped: threading.Event) -> Outcome:
    """Take an upload in; whatever a file does to us, the caller goes on with the next."""

    def progress(_told: Progress) -> None:
        if stopped.is_set():
            raise CancelledError

    try:
        with span("take in a file", upload=upload.id):
            take_in(database, upload, partial(datetime.now, UTC), progress)
    except CancelledError:
        return Outcome.STOPPED
    except UNAVAILABLE as error:
        logger.warning("upload %s waits for the database: %s", upload.id, error)
        return Outcome.UNAVAILABLE
    except (
        PipelineError,
        DatabaseError,
        OSError,
        ArithmeticError,
        LookupError,
        ValueError,
    ) as error:
        logger.exception("upload %s failed", upload.id)
        said = str(error) if isinstance(error, PipelineError) else f"it cannot be stored: {error}"
        _fail(database, upload.id, said)
    return Outcome.ENDED


def apart(
    database: Database,
    upload: uploads.Upload,
    stopped: threading.Event,
    log_format: Literal["text", "json"],
) -> Outcome:
    """Take an upload in as `here` does, in a process of its own."""
    address = database.engine.url.render_as_string(hide_password=False)
    task = {"database": address, "upload": upload.id, "log_format": log_format}
    command = [sys.executable, "-P", "-m", "llm_pipeline.taking_in"]
    # Unbuffered: what a broken pipe did not take would be offered again when it is closed. In a
    # session of its own: a signal to all processes of an installation would be taken for a death.
    # Its two threads take and free large pieces in turn: a heap for each held 25 MB more.
    environment = {"MALLOC_ARENA_MAX": "1", **os.environ}
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True, env=environment
    ) as process:
        code = _ended(process, json.dumps(task).encode() + b"\n", stopped)
    if code in set(Outcome):
        return Outcome(code)
    if stopped.is_set():
        return Outcome.STOPPED
    if code in _ASKED_TO_END:
        return Outcome.UNAVAILABLE
    killed = ", as one does that the system kills for want of memory"
    _fail(
        database,
        upload.id,
        f"the process that took it in ended with {code}"
        f"{killed if code == -signal.SIGKILL else '; the log says why'}; "
        "send the file again, it goes on where it was",
    )
    return Outcome.ENDED


def _ended(process: subprocess.Popen[bytes], line: bytes, stopped: threading.Event) -> int:
    """Hand the task over and wait for the end, which a stop brings about."""
    given = process.stdin
    if given is None:  # pragma: no cover (it is a pipe)
        raise TypeError("the process has no standard input")
    try:
        given.write(line)
    except BrokenPipeError:  # it broke down at once: its code says so
        return process.wait()
    while not stopped.is_set():
        try:
            return process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    given.close()
    return process.wait()


def _fail(database: Database, upload_id: int, said: str) -> None:
    with database.begin() as session:
        # Not what was finished or cancelled just before.
        if uploads.get(session, upload_id).status == "running":
            uploads.set_status(session, upload_id, "failed", datetime.now(UTC), said[:1000])
    staged.forget(database, upload_id)


def _end_with_caller() -> None:
    # Not by `sys.stdin`: a thread that waits in it keeps the interpreter from ending.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(Outcome.STOPPED)


def main() -> int:
    """Take in the upload that standard input names."""
    task = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_caller, daemon=True).start()
    logs.configure(task["log_format"])
    tracing.start("llm_pipeline upload")
    engine = open_engine(task["database"])
    database = Database(engine)
    try:
        with database.read() as session:
            upload = uploads.get(session, task["upload"])
    except UNAVAILABLE as error:
        logger.warning("upload %s waits for the database: %s", task["upload"], error)
        return Outcome.UNAVAILABLE
    try:
        return here(database, upload, threading.Event())
    finally:
        engine.dispose()
        tracing.flush()


if __name__ == "__main__":
    sys.exit(main())
