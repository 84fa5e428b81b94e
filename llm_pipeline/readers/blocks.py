"""What every reader yields: rows as columns of text, with where they stand, and the bad ones."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from llm_pipeline.domain.text import storage_problem
from llm_pipeline.errors import InvalidInput

# Columns are held in memory side by side; nobody's table of texts has as many.
MOST_COLUMNS = 1_000
MOST_ROWS = 50_000  # of a block, and about as many characters as a piece of text has
MOST_CHARACTERS = 4_000_000
KEPT_OF_A_BAD_ROW = 1_000
Numbers = NDArray[np.int64]


class BadRow(NamedTuple):
    """A row that cannot be read, what is wrong with it, and how it begins."""

    row: int
    line: int
    problem: str
    content: str


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that follow one another: `table` has the readable ones as text, `rows` their numbers in
    the file from 1, `lines` where they start. `last` is the number of the last row, good or bad."""

    table: pa.Table
    rows: Numbers
    lines: Numbers
    bad: Sequence[BadRow]
    last: int

    def after(self, row: int) -> "Block":
        """Return the part behind a row."""
        if not self.last or row < self.first():
            return self
        place = int(np.searchsorted(self.rows, row, side="right"))
        bad = [one for one in self.bad if one.row > row]
        return Block(self.table.slice(place), self.rows[place:], self.lines[place:], bad, self.last)

    def until(self, row: int) -> "Block":
        """Return the part up to a row."""
        place = int(np.searchsorted(self.rows, row, side="right"))
        bad = [one for one in self.bad if one.row <= row]
        return Block(self.table.slice(0, place), self.rows[:place], self.lines[:place], bad, row)

    def first(self) -> int:
        """Return the number of the first row."""
        return self.last + 1 - len(self.rows) - len(self.bad)


class Reader(Protocol):
    """A file that holds rows."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of its columns, as far as its beginning tells."""

    @property
    def columns_are_complete(self) -> bool:
        """Whether no row can have a column that is not among them."""

    def check_text(self, column: str) -> None:
        """Raise InvalidInput if a column holds no text, nor anything that is read as text."""

    def total(self) -> int | None:
        """Return about how many rows there are, for progress; None if nothing tells."""

    def blocks(self) -> Iterator[Block]:
        """Yield all rows."""


class Rows:
    """Collects rows one by one into a block."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._values: list[Sequence[str]] = []
        self._rows: list[int] = []
        self._lines: list[int] = []
        self._bad: list[BadRow] = []
        self._size = 0

    def some(self) -> bool:
        return bool(self._rows or self._bad)

    def full(self) -> bool:
        rows = len(self._rows) + len(self._bad)
        return rows >= MOST_ROWS or self._size >= MOST_CHARACTERS

    def add(self, row: int, line: int, values: Sequence[str], problem: str) -> None:
        """Take a row; cells that no database takes are a problem, too."""
        self._size += sum(map(len, values))
        if problem:
            self._bad.append(BadRow(row, line, problem, content(values)))
        else:
            self._values.append(values)
            self._rows.append(row)
            self._lines.append(line)

    def block(self, last: int) -> Block:
        """Return what was taken since the block before."""
        columns = list(zip(*self._values, strict=True)) or [()] * len(self._names)
        arrays = [pa.array(column, pa.string()) for column in columns]
        table = pa.Table.from_arrays(arrays, names=list(self._names))
        rows, lines = np.array(self._rows, np.int64), np.array(self._lines, np.int64)
        return Block(table, rows, lines, tuple(self._bad), last)


def check_width(path: Path, names: Sequence[str]) -> None:
    """Raise InvalidInput for more columns than a table of texts has, or two of one name."""
    if len(names) > MOST_COLUMNS:
        raise InvalidInput(f"{path.name} has {len(names)} columns, {MOST_COLUMNS} are allowed")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{path.name} names the column {twice[0]!r} twice; rename one of them")


def content(values: Sequence[str]) -> str:
    """Return how a bad row begins."""
    return ",".join(values)[:KEPT_OF_A_BAD_ROW]


def as_text(value: object) -> str:
    """Return a value of JSON, Parquet or a workbook as its cell in a CSV file would read."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def cells_problem(values: Sequence[str], longest: int) -> str:
    """Return what is wrong with the cells of a row that has as many as it should."""
    if any(len(value) > longest for value in values):
        return f"the row cannot be read: field larger than field limit ({longest})"
    return storage_problem("".join(values))
