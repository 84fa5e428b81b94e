import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from llm_pipeline.domain.records import Status
from llm_pipeline.domain.rows import Columns
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.readers import pieces
from llm_pipeline.steps import ingest
from llm_pipeline.steps.cancel import cancel
from llm_pipeline.steps.ingest import Job, Progress, ingest_file, job_of
from llm_pipeline.store import activity, alerts, catalogue, log, quality, uploads
from llm_pipeline.store.engine import Database, migrate, open_engine
from llm_pipeline.store.uploads import Upload
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import (
    ingest_rows,
    load_catalogue,
    rows_stored,
    standing,
    write_csv,
)
from llm_pipeline_tests.steps.interrupting import in_small_parts, runs_of, stop_after
from llm_pipeline_tests.store.test_touched import counted, recounted

GOOD_ROWS = [("Blue Cafe 1", "SBUX"), ("CITY TAXI", ""), ("Blue Cafe 1", "")]
BAD_CSV = (
    "\ufefftext,target,time,amount,note\n"
    'Good,SBUX,2026-01-02,"1,234.50",kept\n'
    ',SBUX,,,"two\nlines"\n'
    "?!,,,,\n"
    "A\x00B,,,,\n"
    f"{'long ' * 500},,,,\n"
    "ragged,SBUX\n"
    "unknown,NOPE,,,\n"
    "retired,NFLX,,,\n"
    "late,,yesterday,,\n"
    "costly,,,12 EUR,\n"
    "latin,,,,caf\udce9\n"
    f"wide,,,,{'x' * 200_000}\n"
    "\n"
    "Also good,,,,\n"
    'open,,,,"never closed\n'
)
REASONS = {
    3: "the text is empty",
    5: "the text cannot be read: it has no letter, digit or symbol to recognise",
    6: "it holds the control character U+0000",
    7: "the text is over 2000 characters",
    8: "the row has 2 cells, the header 5",
    9: "the target cannot be used: 'NOPE' is not in the catalogue",
    10: "the target cannot be used: 'NFLX' is retired",
    11: "the time is not a date such as 2026-11-22 or 20261122: 'yesterday'",
    12: "the amount is not a number such as 12.50: '12 EUR'",
    13: "it is not valid UTF-8; save the file as UTF-8 or name its encoding",
    14: "the row cannot be read: field larger than field limit (131072)",
    17: "the row cannot be read: a quote is opened and never closed",
}


def _write(folder: Path, content: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    return path


def _ingest(database: Database, clock: Clock, job: Job) -> Upload:
    return ingest_file(database, job, clock, lambda _rows: None)


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return [event.name for event in log.read_since(session, 0)]


def test_a_file_becomes_mappings_and_tells_what_happened(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(database, clock)
    upload = ingest_rows(database, clock, tmp_path, GOOD_ROWS)
    assert (upload.status, upload.rows_read, upload.accepted, upload.rejected) == (
        "finished",
        3,
        3,
        0,
    )
    assert standing(database) == [
        ("Blue Cafe 1", "pending", None, "SBUX", 2),
        ("CITY TAXI", "pending", None, None, 1),
    ]
    assert _names(database) == [
        "catalogue:loaded",
        "upload:started",
        "submission:received",
        "gate:checked",
        "upload:finished",
    ]


def test_trusted_labels_are_live_at_once(database: Database, clock: Clock, tmp_path: Path) -> None:
    load_catalogue(database, clock)
    ingest_rows(database, clock, tmp_path, [("A", "GS"), ("B", "")], approved=True)
    assert standing(database) == [("A", "approved", "GS", "GS", 1)]
    assert "mapping:approved" in _names(database)
    with database.read() as session:
        (bad,) = uploads.rejected(session, 1)
    assert bad.reason == "the target cannot be used: it is empty"


def test_every_kind_of_bad_row_is_set_aside_with_line_and_reason(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(database, clock)
    with database.begin() as session:
        catalogue.retire(session, ["NFLX"], clock(), 9)
    upload = _ingest(database, clock, Job(_write(tmp_path, BAD_CSV), "ann"))
    with database.read() as session:
        bad = uploads.rejected(session, upload.id)
        gate = quality.latest_gate(session, "submissions")
    assert {row.line: row.reason for row in bad} == REASONS
    assert [row.row for row in bad] == [*range(2, 13), 14]
    assert (upload.rows_read, upload.accepted, upload.rejected) == (14, 2, 12)
    assert [row[0] for row in standing(database)] == ["Also good", "Good"]
    assert gate is not None
    assert (gate.success, gate.severity, gate.rows) == (False, "critical", 14)


def test_a_few_bad_rows_are_a_warning(database: Database, clock: Clock, tmp_path: Path) -> None:
    load_catalogue(database, clock)
    ingest_rows(database, clock, tmp_path, [*GOOD_ROWS, ("?", "")])
    with database.read() as session:
        gate = quality.latest_gate(session, "submissions")
    assert gate is not None
    assert (gate.success, gate.severity, gate.upload_id) == (True, "warning", 1)


def test_a_file_of_unreadable_rows_alone_is_accounted_for(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    upload = _ingest(database, clock, Job(_write(tmp_path, "text,note\nA\nB\n"), "ann"))
    assert (upload.status, upload.accepted, upload.rejected) == ("finished", 0, 2)


def test_a_header_without_rows_is_a_finished_upload(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    upload = _ingest(database, clock, Job(_write(tmp_path, "text\n"), "ann"))
    assert (upload.status, upload.rows_read) == ("finished", 0)


@pytest.mark.parametrize(
    ("content", "trusted", "said"),
    [
        ("vendor,target\nA,GS\n", False, "has no column 'text'; it has vendor, target"),
        ("text,code\nA,GS\n", True, "has no column 'target'"),
        ("", False, "is empty"),
        ("text,text\nA,B\n", False, "names the column 'text' twice"),
    ],
)
def test_a_file_that_cannot_be_used_leaves_no_trace(
    database: Database, clock: Clock, tmp_path: Path, content: str, trusted: bool, said: str
) -> None:
    lands_as = Status.APPROVED if trusted else Status.PENDING
    with pytest.raises(InvalidInput, match=said):
        _ingest(database, clock, Job(_write(tmp_path, content), "ann", lands_as))
    assert _names(database) == []


def test_columns_and_name_can_be_given(database: Database, clock: Clock, tmp_path: Path) -> None:
    load_catalogue(database, clock)
    path = _write(tmp_path, "vendor;code;shop\nA;GS;4\n")
    columns = Columns(text="vendor", target="code")
    upload = _ingest(database, clock, Job(path, "ann", columns=columns, filename="mine.csv"))
    assert upload.filename == "mine.csv"
    with database.read() as session:
        extra = session.scalar(text("SELECT extra FROM submissions"))
    assert standing(database) == [("A", "pending", None, "GS", 1)]
    assert str(extra) in ('{"shop": "4"}', "{'shop': '4'}")


@pytest.mark.parametrize("field", ["target", "time", "amount", "note"])
def test_a_column_that_was_named_must_be_there(
    database: Database, clock: Clock, tmp_path: Path, field: str
) -> None:
    job = Job(_write(tmp_path, "text,code\nA,GS\n"), "ann", columns=Columns(**{field: "cod"}))
    with pytest.raises(InvalidInput, match="has no column 'cod'; it has text, code"):
        _ingest(database, clock, job)
    assert _names(database) == []


def test_a_column_that_was_named_may_come_late_in_json_lines(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(database, clock)
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "A"}\n' * 3_000 + '{"text": "B", "code": "GS"}\n')
    _ingest(database, clock, Job(path, "ann", columns=Columns(target="code")))
    assert ("B", "pending", None, "GS", 1) in standing(database)


def test_an_upload_knows_the_job_that_takes_it_up_again(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    columns = Columns(text="vendor", note="memo")
    path = write_csv(tmp_path / "rows.csv", ("vendor", "memo"), [("A", "")])
    job = Job(path, "ann", columns=columns, filename="mine.csv", encoding="utf-8")
    assert job_of(_ingest(database, clock, job)) == job


def test_the_same_file_twice_adds_nothing(database: Database, clock: Clock, tmp_path: Path) -> None:
    load_catalogue(database, clock)
    first = ingest_rows(database, clock, tmp_path, GOOD_ROWS)
    before = _names(database)
    again = ingest_rows(database, clock, tmp_path, GOOD_ROWS, name="other.csv")
    assert again == first
    assert _names(database) == before


def test_the_same_file_for_another_purpose_is_another_upload(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(database, clock)
    rows = [("A", "GS")]
    ids = [ingest_rows(database, clock, tmp_path, rows, approved=yes).id for yes in (False, True)]
    path = write_csv(tmp_path / "rows.csv", ("text", "target"), rows)
    job = Job(path, "ann", columns=Columns(text="target", target="text"))
    ids.append(_ingest(database, clock, job).id)
    assert ids == [1, 2, 3]


def test_a_gzip_file_is_taken_in(database: Database, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b"text\nA\nB\n"))
    assert _ingest(database, clock, Job(path, "ann")).accepted == 2


def _broken_gzip(tmp_path: Path, *, cut: bool) -> Path:
    lines = "".join(f"text {number * number}\n" for number in range(8_000))
    packed = bytearray(gzip.compress(b"text\n" + lines.encode()))
    half = len(packed) // 2
    if not cut:
        packed[half : half + 64] = b"\xff" * 64
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(bytes(packed[:half] if cut else packed))
    return path


@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_archive_fails_and_keeps_what_could_be_read(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cut: bool,
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 10_000)
    with pytest.raises(InvalidInput, match="cannot be read to its end"):
        _ingest(database, clock, Job(_broken_gzip(tmp_path, cut=cut), "ann"))
    with database.read() as session:
        (upload,) = uploads.recent(session)
        assert rows_stored(session) == upload.accepted
        assert upload.rows_read == upload.accepted + upload.rejected
    assert upload.status == "failed"
    assert 0 < upload.accepted < 8_000
    assert "cannot be read to its end" in upload.error


ROWS = [(f"SHOP {'ABC'[n % 3]} {n % 17}", ("GS", "UBER", "", "?")[n % 4]) for n in range(60)]
TABLES = {
    "mappings": "text, status, target_id, proposed_target_id, conflict, rows, version",
    # Numbers of mappings may have gaps where a transaction was rolled back.
    "submissions JOIN mappings m ON m.id = mapping_id": "row, line, submissions.text, "
    "submissions.target_id, m.text, m.status, m.target_id, m.rows",
    "rejected_rows": "upload_id, row, line, reason, content",
    "uploads": "status, rows_read, accepted, rejected",
}


def _content(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    with database.read() as session:
        return {
            table: [
                tuple(r) for r in session.execute(text(f"SELECT {c} FROM {table} ORDER BY {c}"))
            ]
            for table, c in TABLES.items()
        }


def _other(database: Database, tmp_path: Path) -> Database:
    engine = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    migrate(engine)
    return Database(engine)


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("where", ["between chunks", "inside a transaction"])
def test_an_interrupted_upload_goes_on_and_nothing_is_lost_or_doubled(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    approved: bool,
    where: str,
) -> None:
    in_small_parts(monkeypatch)
    path = write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS)
    job = Job(path, "ann", Status.APPROVED if approved else Status.PENDING)
    whole = _other(database, tmp_path)
    for each in (database, whole):
        load_catalogue(each, clock)
    _ingest(whole, clock, job)
    with monkeypatch.context() as broken:
        if where == "inside a transaction":
            broken.setattr(log, "append", _append_that_dies(log.append))
        with pytest.raises(KeyboardInterrupt):
            ingest_file(database, job, clock, stop_after(30))
    with database.read() as session:
        (half,) = uploads.unfinished(session)
        assert 0 < half.rows_read < len(ROWS)
        assert rows_stored(session) == half.accepted
    _ingest(database, clock, job)
    expected, found = _content(whole), _content(database)
    whole.engine.dispose()
    for table in TABLES:
        assert len(found[table]) == len(expected[table])
    assert found == expected


def test_runs_that_are_shorter_after_a_stop_do_not_lose_what_was_written(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    runs_of(monkeypatch, 50)
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS), "ann")
    whole = _other(database, tmp_path)
    for each in (database, whole):
        load_catalogue(each, clock)
    _ingest(whole, clock, job)
    with pytest.raises(KeyboardInterrupt):
        ingest_file(database, job, clock, stop_after(30))
    runs_of(monkeypatch, 10)
    with pytest.raises(KeyboardInterrupt):
        ingest_file(database, job, clock, stop_after(40))
    _ingest(database, clock, job)
    expected, found = _content(whole), _content(database)
    whole.engine.dispose()
    assert found == expected


def _append_that_dies(real: Callable[..., int]) -> Callable[..., int]:
    calls = iter(range(4))

    def append(*args: Any) -> int:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return real(*args)

    return append


def test_a_half_read_file_that_vanished_says_so_and_goes_on_when_it_is_back(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    load_catalogue(database, clock)
    path = write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS)
    job = Job(path, "ann")
    with pytest.raises(KeyboardInterrupt):
        ingest_file(database, job, clock, stop_after(7))
    path.rename(tmp_path / "moved.csv")
    with pytest.raises(InvalidInput, match=r"rows\.csv cannot be opened"):
        _ingest(database, clock, job)
    done = _ingest(database, clock, replace(job, path=tmp_path / "moved.csv"))
    assert (done.status, done.rows_read, done.path) == (
        "finished",
        len(ROWS),
        str(tmp_path / "moved.csv"),
    )


def test_a_file_that_another_process_reads_is_left_to_it(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    load_catalogue(database, clock)
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS), "ann")

    def let_another_finish(told: Progress) -> None:
        if told.done < 20:
            _ingest(database, clock, job)

    with pytest.raises(Conflict, match="another process"):
        ingest_file(database, job, clock, let_another_finish)
    with database.read() as session:
        assert uploads.get(session, 1).status == "finished"
        assert rows_stored(session) == uploads.get(session, 1).accepted


def test_a_file_of_mostly_bad_rows_fails_its_gate_and_the_next_good_one_resolves_the_alert(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    load_catalogue(database, clock)
    bad = [("...", ""), ("UBER TRIP", "NOPE"), ("UBER EATS", "UBER")]
    ingest_rows(database, clock, tmp_path, bad, name="bad.csv")
    with database.read() as session:
        (alert,) = alerts.open_alerts(session)
    ingest_rows(database, clock, tmp_path, [("UBER CAR", "")], name="good.csv")

    assert (alert.rule, alert.subject) == ("gate_failed", "submissions")
    with database.read() as session:
        assert alerts.open_alerts(session) == []


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet", "rows.xlsx"])
def test_other_kinds_of_files_are_taken_in_like_csv(
    database: Database, clock: Clock, tmp_path: Path, name: str
) -> None:
    load_catalogue(database, clock)
    path, rows = tmp_path / name, [("A", "GS"), ("?", "GS"), ("B", None)]
    if name == "rows.jsonl":
        path.write_text("".join(json.dumps({"text": a, "target": b}) + "\n" for a, b in rows))
    elif name == "rows.parquet":
        texts, targets = zip(*rows, strict=True)
        pq.write_table(pa.table({"text": texts, "target": targets}), path)
    else:
        book = openpyxl.Workbook()
        for row in [("text", "target"), *rows]:
            book.active.append(row)
        book.save(path)
    upload = _ingest(database, clock, Job(path, "ann"))
    assert (upload.accepted, upload.rejected, upload.rows_total) == (2, 1, 3)
    assert standing(database) == [
        ("A", "pending", None, "GS", 1),
        ("B", "pending", None, None, 1),
    ]


def test_an_upload_that_is_cancelled_keeps_what_is_in_and_goes_on_when_sent_again(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    load_catalogue(database, clock)
    job = Job(write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS), "ann")

    def cancel_it(told: Progress) -> None:
        if told.done >= 20:
            with database.begin() as session:
                cancel(session, 1, "bob", clock())

    stopped = ingest_file(database, job, clock, cancel_it)
    assert (stopped.status, stopped.phase, stopped.rows_read < 60) == ("cancelled", "ended", True)
    with database.read() as session:
        assert activity.total(session, activity.RECEIVED) == stopped.accepted
    with database.begin() as session, pytest.raises(Conflict, match="nothing to cancel"):
        cancel(session, 1, "bob", clock())
    assert "upload:cancelled" in _names(database)
    assert _ingest(database, clock, job).rows_read == len(ROWS)
    assert not list(tmp_path.glob("staging/*"))


def test_an_upload_cancelled_before_it_began_or_at_its_very_end_stays_cancelled(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "rows.csv", ("text",), [("A",)])
    job = Job(path, "ann")

    def cancel_it(_told: Progress | None = None) -> None:
        with database.begin() as session:
            cancel(session, 1, "ann", clock())

    at_the_end = ingest_file(database, job, clock, cancel_it)
    upload = ingest.accept(database, job, job.digest(), clock())
    assert (at_the_end.status, upload.status, upload.phase) == ("cancelled", "running", "waiting")
    cancel_it()
    assert ingest.take_in(database, upload, clock, lambda _told: None).status == "cancelled"
    done = _ingest(database, clock, job)
    assert (done.status, done.accepted) == ("finished", 1)


def test_progress_is_told_in_rows_and_seconds(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_parts(monkeypatch)
    load_catalogue(database, clock)
    path = write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS)
    told: list[tuple[Progress, str, float | None]] = []

    def look(progress: Progress) -> None:
        with database.read() as session:
            upload = uploads.get(session, 1)
        told.append((progress, upload.phase, upload.pace(clock()).seconds_left))

    done = ingest_file(database, Job(path, "ann"), clock, look)
    first, last = told[0], told[-1]
    assert (first[0].total, first[1], last[0].done) == (60, "merging", 60)
    assert [one[0].done for one in told] == sorted(one[0].done for one in told)
    assert first[2] is not None
    assert first[2] > 0
    assert (last[2], done.pace(clock()).seconds_left) == (0, None)
    assert done.pace(clock()).rows_per_second is not None


KILLED_IN = {
    "staging": ("llm_pipeline.store.staged", "_write_file", 2),
    "the first slice": ("llm_pipeline.store.slices", "_add_new", 1),
    "a later slice": ("llm_pipeline.store.slices", "_add_new", 4),
    "the progress of a slice": ("llm_pipeline.store.uploads", "advance", 5),
    "finishing": ("llm_pipeline.steps.ingest", "_finish", 1),
}
KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from llm_pipeline import reading_ahead
from llm_pipeline.domain.records import Status
from llm_pipeline.readers import pieces
from llm_pipeline.domain import pacing
from llm_pipeline.steps import ingest
from llm_pipeline.store import spilling
from llm_pipeline.store.engine import Database, open_engine

url, path, lands_as, module, name, calls = sys.argv[1:]
pacing.SLICE_ROWS = pacing.SMALLEST_SLICE = 7
reading_ahead.FIRST_RUN = reading_ahead.LONGEST_RUN = 20
reading_ahead.PIECE_ROWS, spilling.BATCH_ROWS, spilling.PAGE_ROWS = 8, 3, 10
pieces.PIECE = 120
real, left = getattr(import_module(module), name), [int(calls)]

def dies(*args, **kwargs):
    done = real(*args, **kwargs)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

setattr(import_module(module), name, dies)
job = ingest.Job(Path(path), "ann", Status(lands_as))
ingest.ingest_file(Database(open_engine(url)), job, lambda: datetime.now(UTC), lambda told: None)
"""


@pytest.mark.parametrize("where", KILLED_IN)
@pytest.mark.parametrize("lands_as", [Status.PENDING, Status.APPROVED])
def test_an_upload_killed_anywhere_goes_on_and_nothing_is_lost_or_doubled(
    database: Database, store_url: str, clock: Clock, tmp_path: Path, where: str, lands_as: Status
) -> None:
    module, name, calls = KILLED_IN[where]
    if name == "_write_file" and not store_url.startswith("sqlite"):
        name = "_write_table"
    path = write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS)
    whole = _other(database, tmp_path)
    for each in (database, whole):
        load_catalogue(each, clock)
    _ingest(whole, clock, Job(path, "ann", lands_as))
    arguments = [store_url, str(path), lands_as.value, module, name, str(calls)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
    assert killed.returncode == -9
    done = _ingest(database, clock, Job(path, "ann", lands_as))
    expected, found = _content(whole), _content(database)
    whole.engine.dispose()
    assert (done.status, done.rows_read) == ("finished", len(ROWS))
    assert {t: rows for t, rows in found.items() if t != "mappings"} == {
        t: rows for t, rows in expected.items() if t != "mappings"
    }
    assert [row[:6] for row in found["mappings"]] == [row[:6] for row in expected["mappings"]]
    with database.read() as session:
        assert counted(session) == recounted(session)
    assert not list(tmp_path.glob("staging/*"))
