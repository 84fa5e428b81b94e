"""CSV as columns: blocks in which nothing is odd are taken by Arrow, the others row by row.

What a row is, in a file that keeps to no rule, is said by `files.parse_rows` alone; Arrow gets only
blocks of which both say the same.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
from numpy.typing import NDArray

from llm_pipeline import files
from llm_pipeline.domain.exported import is_ours
from llm_pipeline.readers.blocks import BadRow, Block, Rows, check_width, content
from llm_pipeline.readers.pieces import Pieces, lines

_NEWLINE, _QUOTE, _RETURN = b'\n"\r'
# More than a cell may have, so that a line that was cut is a bad row.
_CUT = "x" * (files.MAX_CELL + 1)


@dataclass(frozen=True, slots=True)
class Delimited:
    """A CSV file, packed or not, with one of the delimiters `, ; TAB |`."""

    path: Path
    encoding: str
    delimiter: str
    columns: Sequence[str]

    @classmethod
    def open(cls, path: Path, encoding: str) -> "Delimited":
        delimiter, names = files.layout(path, encoding)
        check_width(path, names)
        return cls(path, encoding, delimiter, names)

    @property
    def columns_are_complete(self) -> bool:
        return True

    def check_text(self, column: str) -> None:
        """Every cell is text."""

    def total(self) -> int | None:
        return max(files.count_lines(self.path) - 1, 0) or None

    def blocks(self) -> Iterator[Block]:
        with files.open_text(self.path, self.encoding) as file:
            files.read_header(self.path, file)
            text, row, line = Pieces(file, _CUT), 0, 2
            while piece := text.whole_lines():
                if not piece.strip("\r\n"):
                    line += len(list(lines(piece)))
                    continue
                block = self._plain(piece, row, line)
                if block is None:
                    block, line = self._odd(text, piece, row, line)
                else:
                    line += piece.count("\n")
                if block.last > row:
                    yield _unsealed(block) if is_ours(self.columns) else block
                row = block.last

    def _plain(self, piece: str, row: int, line: int) -> Block | None:
        """Return the rows of some lines if every line is a row, whoever reads it; else None."""
        data = _encoded(piece)
        if data is None or not _is_regular(data, self.delimiter):
            return None
        odd: list[pcsv.InvalidRow] = []

        def pass_over(row: pcsv.InvalidRow) -> str:
            odd.append(row)
            return "skip"

        table = pcsv.read_csv(
            pa.py_buffer(data),
            pcsv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=list(self.columns)
            ),
            pcsv.ParseOptions(
                delimiter=self.delimiter,
                quote_char='"' if b'"' in data else False,
                invalid_row_handler=pass_over,
            ),
            pcsv.ConvertOptions(
                column_types=dict.fromkeys(self.columns, pa.string()),
                check_utf8=False,  # it was encoded here
                strings_can_be_null=False,
            ),
        )
        return self._placed(table, odd, row, line)

    def _placed(
        self, table: pa.Table, odd: Sequence["pcsv.InvalidRow"], row: int, line: int
    ) -> Block:
        """Number the rows; the ragged ones are not in the table."""
        number = table.num_rows + len(odd)
        places = np.arange(number, dtype=np.int64)
        good = np.delete(places, [found.number - 1 for found in odd])
        bad = [
            BadRow(
                row + found.number,
                line + found.number - 1,
                files.ragged(found.actual_columns, found.expected_columns),
                content(next(csv.reader([found.text], delimiter=self.delimiter))),
            )
            for found in odd
        ]
        return Block(table, row + 1 + good, line + good, bad, row + number)

    def _odd(self, text: Pieces, piece: str, row: int, line: int) -> tuple[Block, int]:
        """Read row by row to the end of some lines, and of the row that reaches beyond them."""
        ahead = list(lines(piece))
        taken = files.Lines(chain(ahead, text), line)
        rows = Rows(self.columns)
        for start, values, problem in files.parse_rows(taken, self.delimiter, len(self.columns)):
            if values or problem:
                row += 1
                rows.add(row, start, values, problem)
            if taken.first >= line + len(ahead):
                break
        text.give_back(taken.given_back())
        return rows.block(row), taken.first


def _unsealed(block: Block) -> Block:
    """Return the cells of one of our own files as they were before they were sealed."""
    columns = [pc.replace_substring_regex(c, r"\A'", "") for c in block.table.columns]
    return replace(block, table=pa.Table.from_arrays(columns, schema=block.table.schema))


def _encoded(piece: str) -> bytes | None:
    """Return text as UTF-8, None if it holds what is no character."""
    try:
        return piece.encode()
    except UnicodeEncodeError:
        return None


def _is_regular(data: bytes, delimiter: str) -> bool:
    """Whether every line is a row, none is empty or long, and quotes are as in RFC 4180."""
    if b"\0" in data or data.startswith((b"\n", b"\r")) or b"\n\n" in data or b"\n\r" in data:
        return False
    if data.count(b"\r") != data.count(b"\r\n"):
        return False
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == _NEWLINE)
    longest = int(np.diff(ends, prepend=-1, append=len(letters)).max())
    if longest > files.MAX_CELL:
        return False
    return b'"' not in data or _has_regular_quotes(letters, ends, ord(delimiter))


def _has_regular_quotes(
    letters: NDArray[np.uint8], ends: NDArray[np.int64], delimiter: int
) -> bool:
    """Whether quotes come in pairs around whole cells or as two for one, each pair in one line."""
    quotes = np.flatnonzero(letters == _QUOTE)
    if len(quotes) % 2:
        return False
    opened, closed = quotes[::2], quotes[1::2]
    before = np.where(opened > 0, letters[opened - 1], _NEWLINE)
    behind = letters[np.minimum(closed + 1, len(letters) - 1)]
    behind = np.where(closed + 1 < len(letters), behind, _NEWLINE)
    doubled = np.zeros(len(opened), np.bool_)
    doubled[1:] = opened[1:] == closed[:-1] + 1
    starts = doubled | (before == delimiter) | (before == _NEWLINE)
    stops = np.append(doubled[1:], False) | np.isin(behind, (delimiter, _NEWLINE, _RETURN))
    one_line = np.searchsorted(ends, opened) == np.searchsorted(ends, closed)
    return bool((starts & stops & one_line).all())
