"""Delimited files in: rows with the line they stand on, and what was wrong with the bad ones.

What a row means is the business of `steps.ingest`. Of what goes out, only how a cell is made safe
for spreadsheets is here.
"""

import csv
import gzip
import hashlib
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TextIO

from llm_pipeline import packed
from llm_pipeline.domain.exported import is_ours, unseal
from llm_pipeline.domain.text import storage_problem
from llm_pipeline.errors import InvalidInput

DELIMITERS = ",;\t|"
MAX_CELL = 131_072
_KEPT_OF_A_BAD_ROW = 1_000
_HASHED_AT_ONCE = 1 << 20
# What reading a file can raise before its end: gone, half a gzip file, another encoding.
UNREADABLE = (OSError, EOFError, zlib.error, UnicodeError, csv.Error)
# A line of our own after the last one: an open quote swallows it, and is known by that.
_END = "\x00end of file\x00"
# A spreadsheet runs a cell that begins with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_OPEN_QUOTE = "the row cannot be read: a quote is opened and never closed"


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file. `row` counts data rows from 1, `line` is where it starts in the file, and
    `problem` is empty for a row that could be read."""

    row: int
    line: int
    values: dict[str, str]
    problem: str = ""

    def content(self) -> str:
        return ",".join(self.values.values())[:_KEPT_OF_A_BAD_ROW]


def digest(path: Path, *purpose: str) -> str:
    """Return the SHA-256 of a file's content and of what it is read for, as hexadecimal digits.

    Packed again, or not packed, it is the same content.
    """
    try:
        hashed = _hashed(path)
    except OSError as error:
        raise InvalidInput(f"{path.name} cannot be opened: {_said(error)}") from error
    for word in purpose:
        hashed.update(b"\0" + word.encode())
    return hashed.hexdigest()


def _hashed(path: Path) -> "hashlib._Hash":
    try:
        hashed = hashlib.sha256()
        with packed.open_bytes(path) as file:
            while block := file.read(_HASHED_AT_ONCE):
                hashed.update(block)
    except (EOFError, zlib.error, gzip.BadGzipFile, InvalidInput):
        # Damaged or a bomb: reading it will tell. Until then it is what it was sent as.
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256")
    return hashed


def columns(path: Path, encoding: str = packed.UTF_8) -> list[str]:
    """Return the header of a delimited file; InvalidInput if there is none to work with."""
    return layout(path, encoding)[1]


def layout(path: Path, encoding: str = packed.UTF_8) -> tuple[str, list[str]]:
    """Return the delimiter and the header of a file; InvalidInput if there is none."""
    try:
        with open_text(path, encoding) as file:
            return read_header(path, file)
    except UNREADABLE as error:
        raise InvalidInput(f"{path.name} cannot be read: {_said(error)}") from error


def read_rows(path: Path, after_row: int = 0, encoding: str = packed.UTF_8) -> Iterator[FileRow]:
    """Yield the data rows of a CSV file (`.gz` too) from the one after `after_row`; `read_cells`
    says how."""
    names = columns(path, encoding)
    ours = is_ours(names)
    for row, line, values, problem in read_cells(path, after_row, encoding):
        cells = [unseal(value) for value in values] if ours else values
        yield FileRow(row, line, _named(cells, names), problem)


class Cells(NamedTuple):
    """A row as `FileRow`, without the names of its columns: three times as fast to read."""

    row: int
    line: int
    values: list[str]
    problem: str


def read_cells(path: Path, after_row: int = 0, encoding: str = packed.UTF_8) -> Iterator[Cells]:
    """Yield the data rows of a CSV file (`.gz` too) from the one after `after_row`.

    The delimiter is the one of `, ; TAB |` that the header holds most of. Ragged rows, over-long
    cells, unclosed quotes and cells that cannot be stored are yielded with their problem; empty
    lines are passed over.
    """
    with open_text(path, encoding) as file:
        delimiter, names = read_header(path, file)
        row = 0
        for line, values, problem in parse_rows(Lines(file), delimiter, len(names)):
            if values or problem:
                row += 1
                if row > after_row:
                    yield Cells(row, line, values, problem)


def parse_rows(lines: "Lines", delimiter: str, width: int) -> Iterator[tuple[int, list[str], str]]:
    """Yield line, cells and problem of each row; the row before is behind `lines` by then.

    An empty line has neither: a caller can stop there, and a file of such lines is no endless row.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            values = next(reader)
        except csv.Error as error:
            problem = f"the row cannot be read: {error}"
            values, reader = [lines.give_back()], csv.reader(lines, delimiter=delimiter)
        else:
            if values == [_END]:
                return
            problem = _problem(values, width)
            if problem == _OPEN_QUOTE:
                values, reader = [lines.give_back()], csv.reader(lines, delimiter=delimiter)
        line = lines.first
        lines.end_row()
        yield line, values, problem


class Lines:
    """The lines of a file and a last one of our own; those after a bad row's first come again.

    A quote that is never closed swallows the rows behind it: they are given back, so that one bad
    row costs no good one.
    """

    def __init__(self, file: Iterable[str], first: int = 2) -> None:
        self._lines = chain(file, [_END])
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self.first = first

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        return line

    def give_back(self) -> str:
        """Keep the first line of the current row, return it, and put the others back."""
        first, *rest = self._taken
        self._again.extendleft(reversed(rest))
        self._taken = [first]
        return first.rstrip("\r\n")

    def end_row(self) -> None:
        self.first += len(self._taken)
        self._taken.clear()

    def given_back(self) -> str:
        """Return what was read and belongs to rows that nobody has asked for yet."""
        return "".join(line for line in self._again if line != _END)


def open_text(path: Path, encoding: str = packed.UTF_8) -> TextIO:
    """Open a file as `packed.open_text` does; InvalidInput if there is none."""
    try:
        return packed.open_text(path, encoding)
    except (OSError, LookupError) as error:
        raise InvalidInput(f"{path.name} cannot be opened: {_said(error)}") from error


def read_header(path: Path, file: TextIO) -> tuple[str, list[str]]:
    """Read the first line and return the delimiter and the names in it; InvalidInput if it cannot
    be worked with."""
    first = file.readline(MAX_CELL)
    if not first.strip():
        raise InvalidInput(f"{path.name} is empty: its first line must name the columns")
    if len(first) == MAX_CELL:
        raise InvalidInput(
            f"{path.name} has a first line of over {MAX_CELL} characters; is it CSV?"
        )
    delimiter = max(DELIMITERS, key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    if damaged := storage_problem("".join(names)):
        raise InvalidInput(f"{path.name} has a header that cannot be read: {damaged}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{path.name} names the column {twice[0]!r} twice; rename one of them")
    return delimiter, names


def _problem(values: list[str], width: int) -> str:
    if values and values != [_END] and values[-1].endswith(_END):
        return _OPEN_QUOTE
    if values and len(values) != width:
        return ragged(len(values), width)
    return storage_problem("".join(values))


def ragged(cells: int, width: int) -> str:
    """Say that a row has too many or too few cells."""
    return f"the row has {cells} cells, the header {width}"


def _named(values: list[str], names: list[str]) -> dict[str, str]:
    extra = [f"column {number}" for number in range(len(names) + 1, len(values) + 1)]
    return dict(zip([*names, *extra], values, strict=False))


def _said(error: Exception) -> str:
    """What went wrong, without the path that an OSError adds: readers of the API see it."""
    return str(getattr(error, "strerror", None) or error)


def count_lines(path: Path) -> int:
    """Return the number of lines of a file, `.gz` unpacked, or 0 if it cannot be read to its end:
    for progress, not for exact counts."""
    try:
        with packed.open_bytes(path) as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    except (*UNREADABLE, InvalidInput):
        return 0


def inert(cell: str) -> str:
    """Return a cell as no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
