"""XLSX: the rows of the first sheet, as Excel last calculated them."""

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from llm_pipeline import files, packed
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers.blocks import Block, Rows, as_text, cells_problem, check_width

# What openpyxl raises of a workbook that is none, or a damaged one.
UNREADABLE = (
    zipfile.BadZipFile,
    InvalidFileException,
    ParseError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
)
_STRINGS = "xl/sharedstrings.xml"
MOST_STRINGS = 256 * 2**20  # bytes: they are all held at once
_OPTIONS = {"read_only": True, "data_only": True, "keep_links": False}
_LAST_ROW = 1_048_576
_WHOLE_FLOAT = 1e15


@dataclass(frozen=True, slots=True)
class Workbook:
    """An Excel workbook; its first row names the columns."""

    path: Path
    columns: Sequence[str]

    @classmethod
    def open(cls, path: Path) -> "Workbook":
        try:
            _check_size(path)
            header = next(_rows(path), (0, []))[1]
        except UNREADABLE as error:
            raise InvalidInput(f"{path.name} cannot be read as XLSX: {error}") from error
        while header and not header[-1]:
            header.pop()
        if not header:
            raise InvalidInput(f"{path.name} is empty: its first row must name the columns")
        names = [name.strip() or f"column {n}" for n, name in enumerate(header, 1)]
        check_width(path, names)
        return cls(path, names)

    @property
    def columns_are_complete(self) -> bool:
        return True

    def check_text(self, column: str) -> None:
        """Every cell is text."""

    def total(self) -> int | None:
        """Excel notes how far a sheet reaches, others do not: nothing to rely on."""
        return None

    def blocks(self) -> Iterator[Block]:
        rows, number, width = Rows(self.columns), 0, len(self.columns)
        for line, cells in _rows(self.path):
            if line == 1 or not any(cells):
                continue
            number += 1
            beyond = [cell for cell in cells[width:] if cell]
            values = [*cells[:width], *[""] * (width - len(cells))]
            problem = cells_problem(values, files.MAX_CELL)
            if beyond:
                problem = files.ragged(len(cells), width)
            rows.add(number, line, [*values, *beyond] if problem else values, problem)
            if rows.full():
                yield rows.block(number)
                rows = Rows(self.columns)
        if rows.some():
            yield rows.block(number)


def _check_size(path: Path) -> None:
    """Raise InvalidInput for an archive that says it is a bomb; nothing more is ever unpacked."""
    with zipfile.ZipFile(path) as archive:
        sizes = {one.filename.lower(): one.file_size for one in archive.infolist()}
    if sum(sizes.values()) > packed.most_unpacked(path.stat().st_size):
        raise packed.too_large(path)
    if sizes.get(_STRINGS, 0) > MOST_STRINGS:
        raise InvalidInput(f"{path.name} holds too much text for a workbook; save it as CSV")


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open("rb") as file, closing(openpyxl.load_workbook(file, **_OPTIONS)) as book:
        sheet = next((s for s in book.worksheets if isinstance(s, ReadOnlyWorksheet)), None)
        if sheet is None:
            return
        sheet.reset_dimensions()
        for line, values in enumerate(sheet.iter_rows(max_row=_LAST_ROW, values_only=True), 1):
            yield line, [_cell(value) for value in values]


def _cell(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer() and abs(value) < _WHOLE_FLOAT:
        return str(int(value))
    return as_text(value)
