"""Files that go out: what a spreadsheet is kept from running, and what comes back as it was."""

import csv
import io
import json
import random
from datetime import UTC, datetime

import pyarrow.parquet as pq
import pytest

from llm_pipeline.domain.exported import is_ours, seal, unseal
from llm_pipeline.outgoing import MAPPINGS, TARGETS, Format, encoded

AT = datetime(2026, 3, 2, 9, 0, 0, 5, tzinfo=UTC)
NASTY = (
    *("=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'", "''", "'=1", "=", 'a"b', 'say "hi", ok'),
    *("line\nbreak", "line\r\nbreak", "lone\rreturn", "a,b;c|d", "é 🍕 שלום", "\u2028", "", " x "),
)


@pytest.mark.parametrize("cell", NASTY)
def test_a_sealed_cell_runs_nowhere_and_comes_back(cell: str) -> None:
    assert not seal(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert unseal(seal(cell)) == cell


def test_any_cell_comes_back() -> None:
    dice = random.Random(1)  # noqa: S311
    cells = ["".join(dice.choices("'=+-@\t\r\nax\"", k=dice.randrange(6))) for _ in range(2_000)]
    assert [unseal(seal(cell)) for cell in cells] == cells


def _row(text: str) -> tuple[object, ...]:
    last = (0.25, "1", True, 3, 2, "note", "upload", "ann", None, AT, AT)
    return (7, text, "pending", None, "GS", None, *last)


def _whole(form: Format, texts: tuple[str, ...]) -> bytes:
    rows = [_row(text) for text in texts]
    return b"".join(encoded(form, MAPPINGS, [rows[:2], rows[2:]]))


def test_csv_is_read_back_cell_by_cell() -> None:
    written = _whole(Format.CSV, NASTY).decode()
    names, *rows = csv.reader(io.StringIO(written, newline=""))
    assert names == MAPPINGS.names
    assert is_ours(names)
    assert [unseal(row[1]) for row in rows] == list(NASTY)
    assert rows[0][6:11] == ["0.25", "1", "true", "3", "2"]
    assert rows[0][-3:] == ["", AT.isoformat(), AT.isoformat()]


def test_jsonl_is_exact() -> None:
    lines = _whole(Format.JSONL, NASTY).decode().split("\n")
    assert lines.pop() == ""
    found = [json.loads(line) for line in lines]
    assert [one["text"] for one in found] == list(NASTY)
    assert (found[0]["target"], found[0]["conflict"], found[0]["upload"]) == (None, True, None)


def test_parquet_is_exact() -> None:
    table = pq.read_table(io.BytesIO(_whole(Format.PARQUET, NASTY)))
    assert table.schema.equals(MAPPINGS)
    assert table.column("text").to_pylist() == list(NASTY)
    assert table.to_pylist()[0]["created_at"] == AT


@pytest.mark.parametrize("form", list(Format))
def test_nothing_is_a_file_too(form: Format) -> None:
    whole = b"".join(encoded(form, TARGETS, []))
    if form is Format.PARQUET:
        assert pq.read_table(io.BytesIO(whole)).num_rows == 0
    else:
        assert whole == (
            b"" if form is Format.JSONL else ",".join(TARGETS.names).encode() + b"\r\n"
        )
