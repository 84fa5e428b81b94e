import csv
import gzip
import io
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_pipeline import tabular
from llm_pipeline.domain.records import Candidate, Recognition, State
from llm_pipeline.errors import InvalidInput
from llm_pipeline.tabular import Cells


def _chunks(path: Path, after: int = 0) -> list[dict[str, list[object]]]:
    return [chunk.table.to_pydict() for chunk in tabular.open_source(path).chunks(after)]


@pytest.mark.parametrize("after", [0, 2, 3, 4, 7])
def test_csv_and_parquet_come_in_chunks_from_any_row_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr(tabular, "CHUNK_ROWS", 2)
    (tmp_path / "a.csv").write_text("text\n" + "".join(f"t{n}\n" for n in range(7)))
    table = pa.table({"text": [f"t{n}" for n in range(7)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    for name in ("a.csv", "a.parquet"):
        chunks = _chunks(tmp_path / name, after)
        assert [t for c in chunks for t in c["text"]] == [f"t{n}" for n in range(after, 7)]
        assert all(len(c["text"]) <= 2 for c in chunks)


def test_long_rows_make_small_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "CHUNK_SIZE", 3_000)
    texts = ["x" * 1_000] * 9
    (tmp_path / "a.csv").write_text("\n".join(["text", *texts]))
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet", use_dictionary=False)
    assert [len(c["text"]) for c in _chunks(tmp_path / "a.csv")] == [3, 3, 3]
    assert [len(c["text"]) for c in _chunks(tmp_path / "a.parquet")] == [2, 2, 2, 2, 1]


def test_rows_that_cannot_be_read_keep_what_fits_and_say_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text,note\nA\nB,1,+2,3\nC\xff,4\n")
    (chunk,) = tabular.open_source(path).chunks()
    assert chunk.table.to_pylist() == [
        {"text": "A", "note": None},
        {"text": "B", "note": "1"},
        {"text": "C\\udcff", "note": "4"},
    ]
    assert chunk.problems[0] == "line 2: the row has 1 cells, the header 2"
    assert chunk.problems[1].endswith('; cells without a column: ["+2", "3"]')
    assert "not valid UTF-8" in chunk.problems[2]


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (["text"], "target"),
        (["target"], "recognized_target"),
        (["TARGET"], "recognized_target"),
        (["target", "recognized_target"], "recognized_target_2"),
    ],
)
def test_added_columns_take_names_that_are_free(taken: list[str], name: str) -> None:
    assert tabular.added_names(taken)[1] == name


def test_an_answer_becomes_cells() -> None:
    found = (Candidate("GS", 0.9, "exact", "GOLDMAN"), Candidate("UBER", 0.01, "model"))
    cells = tabular.cells(Recognition("x", State.MATCHED, "GS", 0.9, found, "3"))
    assert cells[:4] == ("matched", "GS", 0.9, "exact")
    assert cells.candidates == (
        '[{"target":"GS","probability":0.9,"evidence":"exact","example":"GOLDMAN"},'
        '{"target":"UBER","probability":0.01,"evidence":"model"}]'
    )
    assert tabular.cells(Recognition("x", State.NO_MATCH)).evidence is None


def _written(source: tabular.Source, cells: Cells, ending: str) -> bytes:
    chunk = next(source.chunks())
    schema = tabular.answered_schema(source)
    head = tabular.head(schema, ending, source.delimiter)
    return head + tabular.block(chunk.table, [cells], schema, ending, source.delimiter)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_only_added_cells_are_made_safe_from_spreadsheets(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text;note\n"=A\r1";"a ""b"""\n')
    data = _written(tabular.open_source(path), Cells("matched", "=SUM(A1)", 0.5), ending)
    text = gzip.decompress(data).decode() if ending == ".csv.gz" else data.decode()
    header, row = csv.reader(io.StringIO(text, newline=""), delimiter=";")
    assert header == ["text", "note", *Cells._fields]
    assert row == ["=A\r1", 'a "b"', "matched", "'=SUM(A1)", "0.5", "", "", "", ""]


def test_parquet_of_any_type_is_written_as_text_in_csv(tmp_path: Path) -> None:
    row = {
        "text": 12,
        "when": datetime(2026, 3, 2, 9, 30),
        "tags": ["a", "b"],
        "none": None,
        "ok": True,
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    source = tabular.open_source(tmp_path / "a.parquet")
    cells = _written(source, Cells("no_match"), ".csv").decode().splitlines()[1]
    assert cells == '12,2026-03-02 09:30:00.000000,"[""a"", ""b""]",,true,no_match,,,,,,'


def test_joined_parts_are_one_file_in_large_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tabular, "_WHOLE_GROUP", 4)
    schema = pa.schema([("text", pa.dictionary(pa.int32(), pa.string()))])
    parts = []
    for n in range(3):
        table = pa.table({"text": [f"a{n}", None, "b"]}).cast(schema)
        pq.write_table(table, tmp_path / f"{n}.parquet")
        parts.append(tmp_path / f"{n}.parquet")
    tabular.join(parts, tmp_path / "whole", schema)
    assert pq.read_metadata(tmp_path / "whole").num_row_groups == 2
    whole = pq.ParquetFile(tmp_path / "whole").read()
    assert whole["text"].to_pylist() == ["a0", None, "b", "a1", None, "b", "a2", None, "b"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.parquet", b"PAR1 no", "cannot be read as Parquet"),
        ("a.csv.gz", gzip.compress(b"text\n" + b"A\n" * 9_000, mtime=0)[:40], "cannot be read"),
        ("a.csv", b"text,text\nA,B\n", "twice"),
        ("a.csv", b"", "is empty"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=told):
        list(tabular.open_source(tmp_path / name).chunks())


def test_a_parquet_file_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InvalidInput, match="twice"):
        tabular.open_source(tmp_path / "a.parquet")


def test_rows_are_counted_for_progress(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nA\nB\n")
    pq.write_table(pa.table({"text": ["A", "B", "C"]}), tmp_path / "a.parquet")
    assert tabular.open_source(tmp_path / "a.csv").rows() == 2
    assert tabular.open_source(tmp_path / "a.parquet").rows() == 3
