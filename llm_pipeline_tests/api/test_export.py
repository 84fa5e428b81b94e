"""Exports over HTTP and by the command: exact, of one state, and taken in again."""

import csv
import gzip
import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select, update

from llm_pipeline.api.spool import spooled
from llm_pipeline.domain.records import Source, Status, Submission, Target
from llm_pipeline.domain.rows import Columns
from llm_pipeline.errors import InvalidInput, SetupError
from llm_pipeline.exporting import export_file
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.load import load_targets, read_targets
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import export as stored
from llm_pipeline.store.engine import Database
from llm_pipeline.store.mappings import Filter
from llm_pipeline.store.schema import submissions, targets
from llm_pipeline.wiring import Parts, now
from llm_pipeline_tests.api.live_server import Running
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, standing

EXPORT = "/api/llm-center/export"
NASTY = [
    *('=HYPERLINK("http://x")', "+1 555 shop", "-5 off", "@handle", "'quoted shop'", "'=1+1 x"),
    *(
        'say "hi", ok',
        "line\nbreak",
        "line\r\nsecond",
        "lone\rreturn",
        "a,b;c|d",
        "tab\tin",
        "''two",
    ),
    *("é 🍕 שלום", "line\u2028separator"),
]
_RETIRED = update(targets).where(targets.c.key == "B").values(retired_at=now())


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "CHUNK_ROWS", 4)


def _fill(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [(text, "GS") for text in NASTY])
    merge(database, clock, [(f"live {text}", "UBER") for text in NASTY[:3]], trusted=True)
    with database.begin() as session:
        said = Submission("=noted", "GS", "'=cmd", Source.API, "ann")
        submit(session, said, "ann", clock())


def test_our_own_csv_taken_in_again_gives_the_same_mappings(
    parts: Parts, tmp_path: Path, clock: Clock, database: Database
) -> None:
    """Out of a store on SQLite into an empty one of either kind."""
    _fill(parts.database, clock)
    files = {status: tmp_path / f"{status}.csv" for status in (Status.PENDING, Status.APPROVED)}
    for status, path in files.items():
        export_file(parts, path, Filter(status=status), targets=False, overwrite=False)
    export_file(parts, tmp_path / "targets.csv", Filter(), targets=True, overwrite=False)
    with database.begin() as session:
        load_targets(session, read_targets(tmp_path / "targets.csv"), "ann", clock())
    for status, path in files.items():
        column = "target" if status is Status.APPROVED else "proposed_target"
        job = Job(path, "ann", status, Columns(target=column))
        done = ingest_file(database, job, clock, lambda _rows: None)
        assert done.rejected == 0
    assert sorted(standing(database)) == sorted(standing(parts.database))
    with database.read() as session:
        assert set(session.scalars(select(submissions.c.extra))) == {None}
        notes = set(session.scalars(select(submissions.c.note)))
    assert notes == {"", "'=cmd"}


def test_targets_come_back_with_their_attributes(parts: Parts, tmp_path: Path) -> None:
    entries = [
        Target("=A", "'Ann", "-x", {"aliases": "a|b", "name": "another", "=f": "1"}),
        Target("B", "B", "", {}),
    ]
    with parts.begin() as session:
        load_targets(session, entries, "ann", now())
        session.execute(_RETIRED)
    export_file(parts, tmp_path / "all.csv", Filter(), targets=True, overwrite=False)
    assert read_targets(tmp_path / "all.csv") == entries[:1]
    with (tmp_path / "all.csv").open(newline="") as file:
        assert [row["retired"] for row in csv.DictReader(file)] == ["false", "true"]


def test_exports_are_files_with_a_name_and_a_date(client: httpx.Client) -> None:
    for text in ("one", "two"):
        client.post("/api/llm-center/mappings", json={"text": text, "target": "BLUE"})
    answer = client.get(EXPORT, params={"status": "pending", "q": "one"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    named = answer.headers["content-disposition"]
    assert re.fullmatch(r'attachment; filename="mappings-pending-\d{4}-\d\d-\d\d\.csv"', named)
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["llm_pipeline_id"], row["text"], row["proposed_target"]) == ("1", "one", "BLUE")


def test_every_format_says_the_same(client: httpx.Client) -> None:
    for number in range(9):
        client.post("/api/llm-center/mappings", json={"text": f"shop {'abcdefghi'[number]}"})

    def get(form: str, path: str = EXPORT) -> bytes:
        answer = client.get(path, params={"format": form})
        assert f'.{form}"' in answer.headers["content-disposition"]
        return answer.content

    def same(path: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in get("jsonl", path).decode().splitlines()]
        table = pq.read_table(io.BytesIO(get("parquet", path)))
        rows = list(csv.reader(io.StringIO(get("csv", path).decode())))
        assert table.num_rows == len(lines) == len(rows) - 1
        assert table.column_names == rows[0] == list(lines[0])
        assert table.column(1).to_pylist() == [line[rows[0][1]] for line in lines]
        return lines

    assert [line["llm_pipeline_id"] for line in same(EXPORT)] == list(range(1, 10))
    assert [line["key"] for line in same(f"{EXPORT}/targets")] == ["AMZN", "BLUE", "SBUX"]
    assert client.get(EXPORT, params={"format": "xlsx"}).status_code == 422


def test_a_client_that_stops_reading_holds_nothing_up(tmp_path: Path) -> None:
    ended = threading.Event()

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
        finally:
            ended.set()

    body = spooled(pieces, tmp_path)
    assert next(body).startswith(b"x")
    body.close()
    assert ended.wait(5)


def test_the_store_is_free_before_the_client_is_done(tmp_path: Path) -> None:
    ended = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"a" * 300_000
        yield b"b"
        ended.set()

    body = spooled(pieces, tmp_path)
    first = next(body)
    assert ended.wait(5)
    assert first + b"".join(body) == b"a" * 300_000 + b"b"


def test_what_breaks_while_it_is_written_breaks_for_the_client(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise InvalidInput("gone")

    with pytest.raises(InvalidInput, match="gone"):
        list(spooled(pieces, tmp_path))


def test_the_command_writes_packed_files_and_replaces_none(
    parts: Parts, tmp_path: Path, clock: Clock
) -> None:
    _fill(parts.database, clock)
    path = tmp_path / "all.csv.gz"
    export_file(parts, path, Filter(), targets=False, overwrite=False)
    with gzip.open(path, "rt", newline="") as file:
        assert len(list(csv.reader(file))) == len(NASTY) + 5
    with pytest.raises(InvalidInput, match="replace it with --overwrite"):
        export_file(parts, path, Filter(), targets=False, overwrite=False)
    export_file(parts, path, Filter(status=Status.APPROVED), targets=False, overwrite=True)
    with gzip.open(path, "rt", newline="") as file:
        assert len(list(csv.reader(file))) == 4
    assert [one.name for one in tmp_path.glob("all*")] == ["all.csv.gz"]


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("a.xlsx", InvalidInput, "ends in none of .csv, .csv.gz"),
        ("nowhere/a.csv", SetupError, "cannot be written: No such file"),
    ],
)
def test_a_file_that_cannot_be_written_is_told(
    parts: Parts, tmp_path: Path, name: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        export_file(parts, tmp_path / name, Filter(), targets=False, overwrite=False)


def test_an_export_is_of_one_state(server: Running, client: httpx.Client) -> None:
    """Rows that come while it is written are not in it."""
    parts = server.app.state.services.parts
    for number in range(6):
        client.post("/api/llm-center/mappings", json={"text": f"shop {'abcdef'[number]}"})
    with parts.read() as session:
        chunks = stored.mapping_rows(session, Filter())
        first = next(chunks)
        client.post("/api/llm-center/mappings", json={"text": "later"})
        assert len(first) + sum(len(rows) for rows in chunks) == 6
