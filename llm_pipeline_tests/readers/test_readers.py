"""Files of every kind become the same rows; what is wrong with a row stands beside them."""

import datetime as dt
import gzip
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_pipeline import files, packed
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers import blocks, parquet, pieces, workbook
from llm_pipeline.readers.delimited import Delimited
from llm_pipeline.readers.kinds import open_reader, read_blocks

Good = list[tuple[int, int, dict[str, str]]]
Bad = list[tuple[int, int, str]]


def read(path: Path, encoding: str = packed.UTF_8) -> tuple[Good, Bad]:
    """All rows with number and line, and of the bad ones what is wrong."""
    good: Good = []
    bad: Bad = []
    last = 0
    for block in read_blocks(open_reader(path, encoding), path):
        assert block.first() == last + 1
        last = block.last
        rows = zip(block.rows.tolist(), block.lines.tolist(), block.table.to_pylist(), strict=True)
        good += rows
        bad += [(one.row, one.line, one.problem) for one in block.bad]
    return good, bad


def _file(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _row_by_row(path: Path, names: Sequence[str]) -> tuple[Good, Bad]:
    good, bad = [], []
    for row, line, values, problem in files.read_cells(path):
        if problem:
            bad.append((row, line, problem))
        else:
            good.append((row, line, dict(zip(names, values, strict=True))))
    return good, bad


PARTS = {
    "plain": ["a", "b,", ",", "\n"],
    "quotes": ["a", "é", ",", "\n", '"', ",", "\n"],
    "quoted": ["a", ",", "\r\n", '"a"', ",", '"b,c"', '"x""y"', '""'],
    "odd": ["a", ",", "\n", "\r", "\r\n", '"', "\0", "\udcff", '"a\nb"', "🍕", "\n\n"],
}


@pytest.mark.parametrize("kind", PARTS)
def test_blocks_of_csv_are_what_its_rows_are_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    drawn = random.Random(kind)  # noqa: S311
    for _ in range(700):
        monkeypatch.setattr(pieces, "PIECE", drawn.choice([1, 3, 7, 20, 60, 10_000]))
        names = ["text", "b", "c"][: drawn.randrange(1, 4)]
        body = "".join(drawn.choices(PARTS[kind], k=drawn.randrange(40)))
        content = ",".join(names) + drawn.choice(["\n", "\r\n"]) + body
        path = _file(tmp_path, content.encode("utf-8", "surrogateescape"))
        assert read(path) == _row_by_row(path, names), repr(content)


@pytest.mark.parametrize("body", ["A,1\nB,2\n", '"A, a",1\r\n"B ""b""",2', "A\nB,2,3\nC,3\n"])
def test_regular_blocks_are_read_by_arrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.delattr(Delimited, "_odd")
    path = _file(tmp_path, f"text,note\n{body}")
    assert read(path) == _row_by_row(path, ["text", "note"])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_csv_of_every_dialect_and_encoding(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = _file(tmp_path, f"text{delimiter}note\nCAFÉ{delimiter}x\n".encode(encoding))
    told = encoding if encoding == "cp1252" else packed.UTF_8
    assert read(path, told)[0] == [(1, 2, {"text": "CAFÉ", "note": "x"})]


@pytest.mark.parametrize("width", [1, 2])
def test_an_endless_line_is_a_bad_row_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 10_000)
    monkeypatch.setattr(pieces, "LONGEST_LINE", 40_000)
    header, end = ("text", "") if width == 1 else ("text,b", ",1")
    path = _file(tmp_path, f"{header}\nA{end}\n{'x' * 99_000}\nB{end}\n")
    good, bad = read(path)
    assert [(row, line) for row, line, _ in good] == [(1, 2), (3, 4)]
    assert bad == [(2, 3, "the row cannot be read: field larger than field limit (131072)")]


def test_an_endless_line_behind_an_open_quote_is_cut_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "PIECE", 10)
    monkeypatch.setattr(pieces, "LONGEST_LINE", 40_000)
    good, bad = read(_file(tmp_path, f'text\n"A\n{"x" * 99_000}\nB\n'))
    assert [(row, line) for row, line, _ in good] == [(3, 4)]
    assert [(row, line) for row, line, _ in bad] == [(1, 2), (2, 3)]


JSON_LINES = b"""{"text": "A", "amount": 12.50, "x": [1, {"y": 2}]}

[1]
{"text":
{"text": "B\\u0000"}
{"text": "C", "y": true, "z": null}
{"text": "\\ud800"}
"""


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz", "a.txt"])
def test_jsonl_keeps_digits_and_names_bad_lines(tmp_path: Path, name: str) -> None:
    content = gzip.compress(JSON_LINES) if name.endswith("gz") else JSON_LINES
    path = _file(tmp_path, content, name)
    good, bad = read(path)
    assert [(row, line, said["text"]) for row, line, said in good] == [(1, 1, "A"), (5, 6, "C")]
    assert (good[0][2]["amount"], good[0][2]["x"]) == ("12.50", '[1, {"y": 2}]')
    assert (good[1][2]["y"], good[1][2]["z"]) == ("true", "")
    assert [(row, line) for row, line, _ in bad] == [(2, 3), (3, 4), (4, 5), (6, 7)]
    told = [problem for _, _, problem in bad]
    for problem, part in zip(told, ["no object", "as JSON", "U+0000", "UTF-8"], strict=True):
        assert part in problem
    assert open_reader(path).columns == ["text", "amount", "x", "y", "z"]
    assert open_reader(path).total() == 7


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[" * 100_000, "as JSON"),
        (json.dumps({"text": "x" * 200_000}), "field limit"),
        (json.dumps({f"k{n}": 1 for n in range(1_001)}), "over 1000 different names"),
        ("x" * 50_000, "as JSON"),
    ],
)
def test_a_line_of_jsonl_that_is_too_much_is_a_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, told: str
) -> None:
    if line.startswith("x"):
        monkeypatch.setattr(pieces, "LONGEST_LINE", 20_000)
        monkeypatch.setattr(pieces, "PIECE", 9_000)
    good, bad = read(_file(tmp_path, f'{{"text": "A"}}\n{line}\n{{"text": "B"}}\n', "a.jsonl"))
    assert [row for row, _, _ in good] == [1, 3]
    assert (bad[0][:2], told in bad[0][2]) == ((2, 2), True)


def _parquet(folder: Path, table: pa.Table, **options: Any) -> Path:
    pq.write_table(table, folder / "a.parquet", **options)
    return folder / "a.parquet"


def test_parquet_of_any_type_becomes_text(tmp_path: Path) -> None:
    columns = {
        "text": ["A", None, "C\0"],
        "amount": [1.5, 2.0, None],
        "when": [dt.datetime(2026, 1, 1)] * 3,
        "tags": [["a"], None, []],
        "raw": pa.array([b"\xff", b"ok", None], pa.binary()),
    }
    good, bad = read(_parquet(tmp_path, pa.table(columns)))
    said = {
        "text": "",
        "amount": "2",
        "when": "2026-01-01 00:00:00.000000",
        "tags": "",
        "raw": "ok",
    }
    assert good == [(2, 2, said)]
    assert [(row, "UTF-8" in told or "U+0000" in told) for row, _, told in bad] == [
        (1, True),
        (3, True),
    ]


def test_a_parquet_file_of_few_long_values_is_read_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MOST_CHARACTERS", 20_000)
    table = pa.table({"text": ["x" * 1_000, "y" * 200_000] * 50})
    good, bad = read(_parquet(tmp_path, table))
    assert [row for row, _, _ in good] == [*range(1, 101, 2)]
    assert {told for _, _, told in bad} == {"a cell has over 131072 characters"}
    assert open_reader(tmp_path / "a.parquet").total() == 100


def test_a_parquet_file_with_a_row_group_that_fits_no_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "LARGEST_GROUP", 10)
    with pytest.raises(InvalidInput, match="smaller row groups"):
        open_reader(_parquet(tmp_path, pa.table({"text": ["A"] * 9})))


@pytest.mark.parametrize(
    ("values", "kind"),
    [([["A"], ["B"]], "list<.*string>"), ([{"name": "A"}, None], "struct<name: string>")],
)
def test_a_parquet_column_of_lists_or_structs_is_no_text(
    tmp_path: Path, values: list[Any], kind: str
) -> None:
    reader = open_reader(_parquet(tmp_path, pa.table({"text": values, "n": [1, 2]})))
    reader.check_text("n")
    with pytest.raises(InvalidInput, match=f"has {kind} in the column 'text'"):
        reader.check_text("text")


def test_only_jsonl_may_have_more_columns_than_it_begins_with(tmp_path: Path) -> None:
    kinds = [
        _file(tmp_path, "text\nA\n"),
        _parquet(tmp_path, pa.table({"text": ["A"]})),
        _workbook(tmp_path, ["text"], ["A"]),
        _file(tmp_path, '{"text": "A"}', "a.jsonl"),
    ]
    readers = [open_reader(path) for path in kinds]
    assert [one.columns_are_complete for one in readers] == [True, True, True, False]
    for reader in readers:
        reader.check_text("text")


def _workbook(folder: Path, *rows: Sequence[object]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(folder / "a.xlsx")
    return folder / "a.xlsx"


def test_the_first_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    path = _workbook(
        tmp_path,
        ["text", "time", None, "amount", None],
        ["A", dt.date(2026, 1, 2), "x", 12.5],
        [],
        ["B", None, None, 3.0, None, "beyond"],
        [" ", None, None, 3.0],
        ["=1+1", None, True, None],
    )
    good, bad = read(path)
    names = ["text", "time", "column 3", "amount"]
    assert open_reader(path).columns == names
    assert open_reader(path).total() is None
    assert [(row, line, list(said.values())) for row, line, said in good] == [
        (1, 2, ["A", "2026-01-02T00:00:00", "x", "12.5"]),
        (3, 5, [" ", "", "", "3"]),
        (4, 6, ["", "", "true", ""]),
    ]
    assert bad == [(2, 4, "the row has 6 cells, the header 4")]


def test_a_workbook_comes_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST_ROWS", 2)
    path = _workbook(tmp_path, ["text"], *[[f"t{n}"] for n in range(5)])
    assert [b.last for b in open_reader(path).blocks()] == [2, 4, 5]
    assert len(read(path)[0]) == 5


@pytest.mark.parametrize(
    ("limit", "told"), [("bomb", "unpacks to over"), ("text", "too much text")]
)
def test_a_workbook_that_is_a_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, told: str
) -> None:
    path = _workbook(tmp_path, ["text"], ["x" * 30_000])
    if limit == "bomb":
        monkeypatch.setattr(packed, "ALWAYS_ALLOWED", 1)
        monkeypatch.setattr(packed, "MOST_UNPACKED", 1)
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("xl/sharedStrings.xml", b"<sst>" + b" " * 200 + b"</sst>")
        monkeypatch.setattr(workbook, "MOST_STRINGS", 100)
    with pytest.raises(InvalidInput, match=told):
        open_reader(path)


def _zip(folder: Path, **members: bytes) -> bytes:
    with zipfile.ZipFile(folder / "made.zip", "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__xml", ".xml").replace("__", "/"), content)
    return (folder / "made.zip").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n", "is empty"),
        ("a.jsonl", b"\n \n", "is empty"),
        ("a.csv", "text,b\nA,1\n".encode("utf-16-le"), "not text in UTF-8"),
        ("a.csv", b"text,text\n", "twice"),
        ("a.csv", ",".join(f"c{n}" for n in range(1_001)).encode(), "1001 columns"),
        ("a.json", b'[{"text": "A"}]', "is a JSON list"),
        ("a.csv", b"{{template\nA\n" * 2 + b'"', "cannot be"),
        ("a.zip", b"PK\x03\x04rest", "cannot be read as ZIP"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.pdf", b"%PDF-1.7", "is a PDF"),
        ("a.xls", b"\xd0\xcf\x11\xe0 old", "Office file"),
        ("a.csv.gz", gzip.compress(b"PAR1 rest", mtime=0), "a Parquet file inside gzip"),
        ("a.csv.gz", gzip.compress(b"text\n" * 999, mtime=0)[:20], "cannot be read"),
    ],
)
def test_what_holds_no_rows_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    path = _file(tmp_path, content, name)
    if told == "cannot be":
        assert open_reader(path).columns == ["{{template"]
        return
    with pytest.raises(InvalidInput, match=told):
        open_reader(path)


def test_a_zip_or_a_workbook_without_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a ZIP file; unpack it"):
        open_reader(_file(tmp_path, _zip(tmp_path, a=b"x")))
    with pytest.raises(InvalidInput, match="cannot be read as XLSX"):
        open_reader(_file(tmp_path, _zip(tmp_path, xl__workbook__xml=b"x")))
    with pytest.raises(InvalidInput, match="is empty"):
        open_reader(_workbook(tmp_path))


BOMB = b"""<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "%s">%s]><worksheet>&i;</worksheet>""" % (
    b"x" * 99,
    b"".join(
        b'<!ENTITY %c "%s">' % (99 + n, b"&%c;" % (97 if n == 0 else 98 + n) * 50) for n in range(7)
    ),
)


def test_a_workbook_whose_xml_is_a_bomb_is_refused(tmp_path: Path) -> None:
    path = _workbook(tmp_path, ["text"], ["A"])
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members["xl/worksheets/sheet1.xml"] = BOMB
    with zipfile.ZipFile(path, "w") as new:
        for name, content in members.items():
            new.writestr(name, content)
    with pytest.raises(InvalidInput):
        open_reader(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no\.csv cannot be opened"):
        open_reader(tmp_path / "no.csv")


def test_a_flood_of_empty_lines_holds_no_row_and_hides_none(tmp_path: Path) -> None:
    flood = "\n" * (3 * pieces.PIECE)
    path = _file(tmp_path, f"text,target\na,b\n{flood}c,d\n")
    good, bad = read(path)
    assert [values["text"] for _, _, values in good] == ["a", "c"]
    assert (good[1][1], bad) == (3 + len(flood), [])
