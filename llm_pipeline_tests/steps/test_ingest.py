import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from llm_pipeline import reading_ahead
from llm_pipeline.domain.records import Status
from llm_pipeline.domain.rows import Columns
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.readers import pieces
from llm_pipeline.steps import ingest
from llm_pipeline.steps.ingest import Job, Progress, ingest_file, job_of
from llm_pipeline.store import alerts, catalogue, log, quality, uploads
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


def test_an_upload_knows_the_job_that_takes_it_up_again(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    columns = Columns(text="vendor", note="memo")
    path = write_csv(tmp_path / "rows.csv", ("vendor",), [("A",)])
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


def _in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of about ten rows, runs of about twenty, slices of seven."""
    monkeypatch.setattr(ingest, "SLICE_ROWS", 7)
    monkeypatch.setattr(ingest, "SMALLEST_SLICE", 7)
    monkeypatch.setattr(reading_ahead, "FIRST_RUN", 20)
    monkeypatch.setattr(reading_ahead, "LONGEST_RUN", 20)
    monkeypatch.setattr(pieces, "PIECE", 120)


def _stop_after(rows: int) -> Callable[[Progress], None]:
    def stop(told: Progress) -> None:
        if told.done >= rows:
            raise KeyboardInterrupt

    return stop


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
    _in_small_parts(monkeypatch)
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
            ingest_file(database, job, clock, _stop_after(30))
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
    _in_small_parts(monkeypatch)
    load_catalogue(database, clock)
    path = write_csv(tmp_path / "rows.csv", ("text", "target"), ROWS)
    job = Job(path, "ann")
    with pytest.raises(KeyboardInterrupt):
        ingest_file(database, job, clock, _stop_after(7))
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
    _in_small_parts(monkeypatch)
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
