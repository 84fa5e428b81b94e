"""Uploads that are interrupted again and again, each time otherwise: no row is lost or doubled."""

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from llm_pipeline import reading_ahead
from llm_pipeline.domain import pacing
from llm_pipeline.domain.records import Status
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers import pieces
from llm_pipeline.readers.kinds import read_blocks
from llm_pipeline.steps.ingest import Job, Progress, ingest_file
from llm_pipeline.store import catalogue, staged
from llm_pipeline.store.engine import Database
from llm_pipeline.store.uploads import Upload
from llm_pipeline.validation import check_block
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, write_csv
from llm_pipeline_tests.steps.interrupting import in_small_parts, runs_of, stop_after


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_parts(monkeypatch)
    monkeypatch.setattr(pacing, "PAUSE_SECONDS", 0)


def _stopped(database: Database, clock: Clock, job: Job, rows: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        ingest_file(database, job, clock, stop_after(rows))


def _finished(database: Database, clock: Clock, job: Job) -> Upload:
    return ingest_file(database, job, clock, lambda _told: None)


def _numbers(database: Database, table: str) -> list[int]:
    with database.read() as session:
        return sorted(session.scalars(text(f"SELECT row FROM {table}")))


@pytest.mark.parametrize("seed", range(12))
def test_each_row_is_in_once_however_often_and_wherever_it_stops(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    drawn = random.Random(seed)  # noqa: S311
    load_catalogue(database, clock)
    said = [(f"T{drawn.randint(10, 60)} shop", drawn.choice(("", "GS", "?"))) for _ in range(60)]
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), said), "ann")
    for rows in sorted(drawn.sample(range(1, 54), drawn.randint(2, 5))):
        runs_of(monkeypatch, drawn.choice((5, 10, 20, 50)))
        # Blocks are cut elsewhere as well, as by another version.
        monkeypatch.setattr(pieces, "PIECE", drawn.choice((60, 120, 300)))
        try:
            ingest_file(database, job, clock, stop_after(rows))
        except KeyboardInterrupt:
            continue
    done = _finished(database, clock, job)
    bad = _numbers(database, "rejected_rows")
    good = _numbers(database, "submissions")
    assert (done.status, done.rows_read, done.rejected) == ("finished", 60, len(bad))
    assert sorted(good + bad) == list(range(1, 61))
    assert bad == [number for number, (_, target) in enumerate(said, 1) if target == "?"]


def test_a_run_of_bad_rows_alone_is_taken_up_where_it_stopped(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_of(monkeypatch, 1000)
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), [("?!", "")] * 40), "ann")
    _stopped(database, clock, job, 7)
    done = _finished(database, clock, job)
    assert (done.status, done.rows_read, done.rejected) == ("finished", 40, 40)
    assert _numbers(database, "rejected_rows") == list(range(1, 41))


def test_a_file_that_cannot_be_read_on_loses_nothing_of_what_was_written(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_of(monkeypatch, 1000)
    rows = [(f"T{n * 7 % 60:02d} shop", "") for n in range(60)]
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), rows), "ann")
    _stopped(database, clock, job, 30)
    real = read_blocks

    def broken(*given: Any) -> Iterator[Any]:
        for number, block in enumerate(real(*given)):
            if number == 2:
                raise InvalidInput("rows.csv cannot be read to its end: Input/output error")
            yield block

    with monkeypatch.context() as bad_disk:
        bad_disk.setattr(reading_ahead, "read_blocks", broken)
        with pytest.raises(InvalidInput, match="to its end"):
            _finished(database, clock, job)
    assert _finished(database, clock, job).rows_read == 60
    assert _numbers(database, "submissions") == list(range(1, 61))


def test_a_row_that_was_good_before_the_stop_is_not_rejected_after_it(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_of(monkeypatch, 1000)
    load_catalogue(database, clock)
    rows = [(f"T{n:02d}", "GS") for n in range(40)]
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), rows), "ann", Status.APPROVED)
    _stopped(database, clock, job, 14)
    with database.begin() as session:
        catalogue.retire(session, ["GS"], clock(), 9)
    done = _finished(database, clock, job)
    good, bad = _numbers(database, "submissions"), _numbers(database, "rejected_rows")
    assert (done.rows_read, done.accepted, done.rejected) == (40, len(good), len(bad))
    assert good
    assert sorted(good + bad) == list(range(1, 41))


def test_a_cancel_is_seen_while_a_long_run_is_read(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_ahead, "LOOK_SECONDS", 0.01)
    real = check_block

    def slow(*given: Any, **named: Any) -> Any:
        with database.begin() as session:
            session.execute(text("UPDATE uploads SET status = 'cancelled'"))
        return real(*given, **named)

    told: list[Progress] = []
    monkeypatch.setattr(reading_ahead, "check_block", slow)
    rows = [(f"T{n:03d} shop", "") for n in range(2000)]
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), rows), "ann")
    ended = ingest_file(database, job, clock, told.append)
    assert (ended.status, ended.rows_read) == ("cancelled", 0)
    assert told
    assert not list(tmp_path.glob("staging/*"))


def test_files_of_an_upload_lie_beside_a_store_that_is_a_file(tmp_path: Path) -> None:
    server = create_engine("postgresql+psycopg://someone@127.0.0.1/llmp")
    file = create_engine(f"sqlite:///{tmp_path / 'store.db'}")
    assert staged.folder(file) == tmp_path / "staging"
    assert staged.folder(server) == Path(tempfile.gettempdir())


def test_a_full_disk_is_told_and_leaves_no_half_file(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.engine.dialect.name != "sqlite":
        return  # it stages in a table
    monkeypatch.setattr(staged, "_COLUMNS", staged._COLUMNS.replace("text TEXT", "other TEXT"))
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), [("A", "")]), "ann")
    with pytest.raises(OSError, match="rows cannot be staged"):
        _finished(database, clock, job)
    assert not list(tmp_path.glob("staging/*"))
