"""A large upload in a process of its own: taken in, stopped and gone on with, killed, refused."""

import stat
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_pipeline.domain import pacing
from llm_pipeline.steps.ingest import Job, accept
from llm_pipeline.store import uploads
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.store.uploads import Upload
from llm_pipeline.taking_in import Outcome, apart, here
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import write_csv
from llm_pipeline_tests.store.test_touched import counted, recounted

# Slices enough that one of them ends long before the last, whoever else uses the machine.
ROWS = 6 * pacing.SLICE_ROWS
Accept = Callable[[Database, int], Upload]


@pytest.fixture
def accepted(tmp_path: Path, clock: Clock) -> Accept:
    def accept_rows(database: Database, rows: int) -> Upload:
        named = [(f"SHOP {number // 2} OF {number % 7}",) for number in range(rows)]
        job = Job(write_csv(tmp_path / "rows.csv", ("text",), named), "ann")
        return accept(database, job, job.digest(), clock())

    return accept_rows


def stored(database: Database, upload: Upload) -> Upload:
    with database.read() as session:
        return uploads.get(session, upload.id)


def submitted(database: Database) -> int:
    with database.read() as session:
        return int(session.execute(text("SELECT count(*) FROM submissions")).scalar_one())


def test_what_is_stopped_goes_on_where_it_was_with_each_row_once(
    database: Database, accepted: Accept
) -> None:
    upload, stopped = accepted(database, ROWS), threading.Event()
    with ThreadPoolExecutor(1) as other:
        outcome = other.submit(apart, database, upload, stopped, "text")
        while not stored(database, upload).rows_read:
            assert not outcome.done(), outcome.result()
            time.sleep(0.005)
        stopped.set()
        assert outcome.result() is Outcome.STOPPED
    half = stored(database, upload)
    assert (half.status, half.rows_read < ROWS) == ("running", True)
    assert here(database, half, threading.Event()) is Outcome.ENDED
    done = stored(database, upload)
    assert (done.status, done.accepted, submitted(database)) == ("finished", ROWS, ROWS)
    with database.read() as session:
        assert counted(session) == recounted(session)


def test_a_process_that_is_killed_fails_the_upload_which_can_be_sent_again(
    database: Database, accepted: Accept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, deadly = accepted(database, 3), tmp_path / "deadly"
    deadly.write_text("#!/bin/sh\nkill -9 $$\n")
    deadly.chmod(deadly.stat().st_mode | stat.S_IXUSR)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(deadly))
        assert apart(database, upload, threading.Event(), "text") is Outcome.ENDED
    failed = stored(database, upload)
    assert (failed.status, "ended with -9" in failed.error) == ("failed", True)
    again = accepted(database, 3)
    assert (again.id, apart(database, again, threading.Event(), "json")) == (upload.id, 0)
    assert (stored(database, upload).status, submitted(database)) == ("finished", 3)


def test_a_process_that_is_asked_to_end_is_begun_again(
    database: Database, accepted: Accept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload, ending = accepted(database, 3), tmp_path / "ending"
    ending.write_text(
        f"#!{sys.executable}\nimport os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whatever the tests run under\n"
        "os.getsid(0) == os.getpid() or sys.exit('not in a session of its own')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    ending.chmod(ending.stat().st_mode | stat.S_IXUSR)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(ending))
        assert apart(database, upload, threading.Event(), "text") is Outcome.UNAVAILABLE
    assert stored(database, upload).status == "running"


def test_what_was_cancelled_before_its_process_died_stays_cancelled(
    database: Database, accepted: Accept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = accepted(database, 3)
    with database.begin() as session:
        uploads.set_status(session, upload.id, "cancelled", upload.created_at)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert apart(database, upload, threading.Event(), "text") is Outcome.ENDED
    assert stored(database, upload).status == "cancelled"


def test_a_database_that_does_not_answer_is_waited_for(parts: Parts, accepted: Accept) -> None:
    upload = accepted(parts.database, 3)
    gone = Database(open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    assert apart(gone, upload, threading.Event(), "text") is Outcome.UNAVAILABLE
    assert here(gone, upload, threading.Event()) is Outcome.UNAVAILABLE
