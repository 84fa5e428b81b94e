"""What a file with each kind of trouble gets: a message, or its good rows in and the bad ones told.

`python -m pytest llm_pipeline_tests/steps/test_bad_files.py -s` prints the table.
"""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_pipeline import packed
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.store import catalogue, uploads
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, standing


@dataclass(frozen=True)
class Trouble:
    """A file, and what it gets: `told` is why it or its bad row is refused, `kept` the rest."""

    content: bytes
    told: str = ""
    kept: tuple[str, ...] = ()
    name: str = "rows.csv"


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getvalue()


KINDS = {
    "wrong encoding": Trouble(
        "text\nGOOD\nCAFÉ\n".encode("cp1252"), "not valid UTF-8; save the file as UTF-8", ("GOOD",)
    ),
    "UTF-16 with a byte order mark": Trouble("text\nCAFÉ\n".encode("utf-16"), "", ("CAFÉ",)),
    "UTF-16 without one": Trouble("text\nCAFÉ\n".encode("utf-16-le"), "name its encoding"),
    "byte order mark": Trouble("\ufefftext\nGOOD\n".encode(), "", ("GOOD",)),
    "ragged row": Trouble(
        b"text,note\nGOOD,1\nA\n", "the row has 1 cells, the header 2", ("GOOD",)
    ),
    "missing column": Trouble(b"vendor\nA\n", "has no column 'text'; it has vendor"),
    "empty file": Trouble(b"", "is empty"),
    "header without rows": Trouble(b"text\n"),
    "10 MB cell": Trouble(
        b"text\nGOOD\n" + b"x" * 10_000_000 + b"\nFINE\n", "larger than field", ("FINE", "GOOD")
    ),
    "NUL byte": Trouble(b"text\nA\0B\nGOOD\n", "U+0000", ("GOOD",)),
    "duplicate header": Trouble(b"text,text\nA,B\n", "names the column 'text' twice"),
    "formula text": Trouble(b"text\n=SUM(A1)\n", "", ("=SUM(A1)",)),
    "zip bomb": Trouble(
        gzip.compress(b"text\nGOOD\n" + b"A\n" * 1_000_000), "unpacks to over 200 times its size"
    ),
    "gzip under another name": Trouble(gzip.compress(b"text\nGOOD\n"), "", ("GOOD",)),
    "unknown target": Trouble(
        b"text,target\nA,NOPE\nGOOD,GS\n", "'NOPE' is not in the catalogue", ("GOOD",)
    ),
    "retired target": Trouble(b"text,target\nA,NFLX\nGOOD,\n", "'NFLX' is retired", ("GOOD",)),
    "over-long text": Trouble(
        f"text\n{'long ' * 500}\nGOOD\n".encode(), "the text is over 2000 characters", ("GOOD",)
    ),
    "only punctuation": Trouble(b"text\n?!...\nGOOD\n", "no letter, digit or symbol", ("GOOD",)),
    "right-to-left and emoji": Trouble("text\nמסעדה 12\n🍕\n".encode(), "", ("מסעדה 12", "🍕")),
    "half a character at the end": Trouble(
        "text\nGOOD\nCAFÉ".encode()[:-1], "not valid UTF-8", ("GOOD",)
    ),
    "quote never closed": Trouble(
        b'text\nGOOD\n"open\nFINE\n', "a quote is opened and never closed", ("FINE", "GOOD")
    ),
    "archive cut off": Trouble(gzip.compress(b"text\nGOOD\n" * 99)[:-12], "cannot be read"),
    "lists for texts": Trouble(
        _parquet({"text": [["A"], ["B"]]}), "in the column 'text', which must hold text"
    ),
    "numbers for texts": Trouble(_parquet({"text": [7, None]}), "the text is empty", ("7",)),
    "a PDF": Trouble(b"%PDF-1.7", "is a PDF; save it as CSV"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_file_is_told_what_is_wrong_and_its_good_rows_are_kept(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(packed, "ALWAYS_ALLOWED", 1_000_000)
    trouble, path = KINDS[kind], tmp_path / "rows.csv"
    path.write_bytes(trouble.content)
    load_catalogue(database, clock)
    with database.begin() as session:
        catalogue.retire(session, ["NFLX"], clock(), 9)
    try:
        upload = ingest_file(database, Job(path, "ann"), clock, lambda _told: None)
        with database.read() as session:
            told = "; ".join(bad.reason for bad in uploads.rejected(session, upload.id))
        assert upload.rows_read == upload.accepted + upload.rejected
    except InvalidInput as error:
        told = str(error)
    kept = tuple(sorted(row[0] for row in standing(database)))
    print(f"{kind:30} {told or 'nothing is wrong':70.120} kept: {kept}")  # noqa: T201
    assert trouble.told in told
    assert bool(trouble.told) == bool(told)
    if trouble.kept or not told:
        assert kept == trouble.kept


def test_a_character_across_the_end_of_a_piece_is_read_whole(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pipeline.readers.pieces.PIECE", 1)
    path = tmp_path / "rows.csv"
    path.write_text("text\n🍕🍕\nCAFÉ\n")
    ingest_file(database, Job(path, "ann"), clock, lambda _told: None)
    assert [row[0] for row in standing(database)] == ["CAFÉ", "🍕🍕"]
