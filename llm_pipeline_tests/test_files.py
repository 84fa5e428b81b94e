import gzip
from pathlib import Path

import pytest

from llm_pipeline import files, packed
from llm_pipeline.errors import InvalidInput


def _file(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _rows(path: Path, after: int = 0) -> list[tuple[int, int, list[str], str]]:
    found = files.read_rows(path, after)
    return [(row.row, row.line, list(row.values.values()), row.problem) for row in found]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_delimited_files_of_every_kind_are_read(
    tmp_path: Path, delimiter: str, end: str, start: str
) -> None:
    lines = [delimiter.join(("text", " target ")), delimiter.join(("A", "GS"))]
    path = _file(tmp_path, start + end.join(lines))
    assert files.columns(path) == ["text", "target"]
    assert [row.values for row in files.read_rows(path)] == [{"text": "A", "target": "GS"}]


def test_a_row_knows_its_line_after_empty_lines_and_quoted_newlines(tmp_path: Path) -> None:
    path = _file(tmp_path, 'text,note\n"A\nA",1\n\nB,2\nC,3\n')
    assert _rows(path) == [
        (1, 2, ["A\nA", "1"], ""),
        (2, 5, ["B", "2"], ""),
        (3, 6, ["C", "3"], ""),
    ]
    assert _rows(path, after=2) == [(3, 6, ["C", "3"], "")]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("B", "the row has 1 cells, the header 2"),
        ("B,1,2", "the row has 3 cells, the header 2"),
        (f"B,{'x' * 200_000}", "field larger than field limit"),
        ("B\0,1", "U+0000"),
        ("B,1\0", "U+0000"),
    ],
)
def test_a_bad_row_is_named_and_the_next_one_read(tmp_path: Path, bad: str, problem: str) -> None:
    path = _file(tmp_path, f"text,note\nA,1\n{bad}\nC,3\n")
    first, second, third = files.read_rows(path)
    assert (first.problem, third.problem, third.line) == ("", "", 4)
    assert (second.row, second.line, problem in second.problem) == (2, 3, True)
    assert len(second.content()) <= 1_000


@pytest.mark.parametrize("header", ["text", "text,note"])
def test_a_quote_that_is_never_closed_is_a_bad_row(tmp_path: Path, header: str) -> None:
    cells = "," * header.count(",")
    path = _file(tmp_path, f'{header}\nA{cells}\n{cells}"B\nC{cells}\nD{cells}')
    good, bad, *behind = files.read_rows(path)
    assert (good.problem, bad.row, bad.line) == ("", 2, 3)
    assert [(row.line, row.problem) for row in behind] == [(4, ""), (5, "")]
    assert bad.problem == "the row cannot be read: a quote is opened and never closed"


def test_quotes_inside_a_cell_are_taken_as_they_come(tmp_path: Path) -> None:
    path = _file(tmp_path, 'text\nA "B" C\n"D ""E"""\n')
    assert _rows(path) == [(1, 2, ['A "B" C'], ""), (2, 3, ['D "E"'], "")]


def test_a_row_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = _file(tmp_path, "text,note\nA,caf\xe9\nB,1\n".encode("latin-1"))
    bad, good = files.read_rows(path)
    assert ("not valid UTF-8" in bad.problem, good.problem) == (True, "")
    (first, _) = files.read_rows(path, encoding="latin-1")
    assert first.values["note"] == "caf\xe9"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("text,note,text\nA,1,2\n", "names the column 'text' twice"),
        ("text,pr\xe9nom\nA,1\n".encode("latin-1"), "not valid UTF-8"),
        ("text,a\0b\n", "control character"),
        (f"{'x' * 140_000}\n", "over 131072 characters"),
    ],
)
def test_a_header_that_cannot_be_worked_with_is_told(
    tmp_path: Path, content: str | bytes, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as raised:
        files.columns(_file(tmp_path, content))
    str(raised.value).encode()  # can be shown anywhere


@pytest.mark.parametrize(
    ("name", "encoding"), [("missing.csv", "utf-8"), ("missing.csv.gz", "utf-8"), ("", "utf-8")]
)
def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path, name: str, encoding: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be opened"):
        files.columns(tmp_path / name, encoding)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = _file(tmp_path, "text,note\nCAFÉ,☕\n".encode(encoding))
    assert [values for _, _, values, _ in _rows(path)] == [["CAFÉ", "☕"]]


def test_an_archive_that_is_a_bomb_is_left_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "ALWAYS_ALLOWED", 100_000)
    path = _file(tmp_path, gzip.compress(b"text\n" + b"A\n" * 500_000), "rows.csv.gz")
    with pytest.raises(InvalidInput, match="unpacks to over 200 times its size"):
        list(files.read_rows(path))
    assert files.count_lines(path) == 0


def test_an_unknown_encoding_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="utf-99"):
        files.columns(_file(tmp_path, "text\n"), "utf-99")


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b no gzip", gzip.compress(b"text\n" * 9, mtime=0)[:12]]
)
def test_a_damaged_archive_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"cannot be (read|opened)"):
        files.columns(_file(tmp_path, content, "rows.csv.gz"))


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.csv"])
def test_a_gzip_file_is_read_like_its_content(tmp_path: Path, name: str) -> None:
    path = _file(tmp_path, gzip.compress(b"text\nA\nB\n"), name)
    assert [values for _, _, values, _ in _rows(path)] == [["A"], ["B"]]
    assert files.count_lines(path) == 3


def test_lines_are_counted(tmp_path: Path) -> None:
    assert files.count_lines(_file(tmp_path, "text\nA\nB")) == 2


def test_the_digest_tells_content_and_purpose(tmp_path: Path) -> None:
    one, two = _file(tmp_path, "text\nA\n"), _file(tmp_path, "text\nA\n", "two.csv")
    assert files.digest(one, "text") == files.digest(two, "text")
    assert files.digest(one, "text") != files.digest(one, "vendor")
    assert files.digest(one, "ab", "c") != files.digest(one, "a", "bc")
    assert files.digest(one) != files.digest(_file(tmp_path, "text\nB\n", "three.csv"))


def test_an_open_quote_costs_its_own_row_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "open.csv"
    rows = [f"shop {number},x" for number in range(20_000)]
    path.write_text("\n".join(["text,note", "first,a", '"open,b', *rows]) + "\n")

    read = list(files.read_rows(path))

    (bad,) = [row for row in read if row.problem]
    assert (bad.row, bad.line, bad.content()) == (2, 3, '"open,b')
    assert len(read) == 20_002
    assert (read[-1].line, read[-1].values["text"]) == (20_003, "shop 19999")


def test_content_is_the_same_however_it_is_packed(tmp_path: Path) -> None:
    plain = tmp_path / "a.csv"
    plain.write_text("text\nA\n")
    digests = {files.digest(plain, "text")}
    for stamp in (1, 2):
        zipped = tmp_path / f"{stamp}.csv.gz"
        zipped.write_bytes(gzip.compress(plain.read_bytes(), mtime=stamp))
        digests.add(files.digest(zipped, "text"))
    assert len(digests) == 1
    (tmp_path / "half.gz").write_bytes(zipped.read_bytes()[:15])
    assert files.digest(tmp_path / "half.gz", "text") not in digests
