"""Rows in the order of their texts, more than memory holds: an external merge sort (Knuth, The Art
of Computer Programming, volume 3, 5.4.1).

Pieces are sorted in memory and written to a file each; then all are read at once, a batch of each
in memory.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from llm_pipeline.store.sorting import in_order

BY = "normalized"
BATCH_ROWS = 4_096
BATCH_BYTES = 2**19
PAGE_ROWS = 50_000
PAGE_BYTES = 8 * 2**20


class Spilled:
    """Tables with a column `normalized`, added in the order of a file, to be read in the order of
    that column; equal ones stay in the order in which they came.

    The files have no name: they end with the process, whatever ends it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = ExitStack()
        self._pieces: list[_Piece] = []

    def close(self) -> None:
        """Let go of what was written."""
        self._pieces.clear()
        with suppress(OSError):  # again, of a file that had no room
            self._files.close()

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, table: pa.Table) -> None:
        """Sort a table and write it down; raises OSError where there is no room."""
        if not table.num_rows:
            return
        self._folder.mkdir(exist_ok=True)
        file: Any = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 (`close` closes it)
        self._files.enter_context(file)
        ordered = in_order(table).combine_chunks()
        with pa.ipc.new_file(pa.PythonFile(file, "w"), table.schema) as writer:
            for start in range(0, ordered.num_rows, BATCH_ROWS):
                for batch in _cut(ordered.slice(start, BATCH_ROWS)):
                    writer.write_table(batch)
        self._pieces.append(_Piece(pa.ipc.open_file(pa.PythonFile(file, "r"))))

    def pages(self) -> Iterator[pa.Table]:
        """Yield all rows in order, some ten thousand at a time; once."""
        page: list[pa.Table] = []
        for parts in self._merged():
            page += parts
            rows, size = sum(part.num_rows for part in page), sum(part.nbytes for part in page)
            if rows >= PAGE_ROWS or size >= PAGE_BYTES:
                table = in_order(pa.concat_tables(page))
                whole = _whole_texts(table)
                yield table.slice(0, whole)
                page = [table.slice(whole)]
        if page and (table := in_order(pa.concat_tables(page))).num_rows:
            yield table

    def _merged(self) -> Iterator[list[pa.Table]]:
        """Yield parts of pieces: what comes later has no smaller text, and an equal one only from
        the same piece or from one behind it."""
        while pieces := [piece for piece in self._pieces if piece.has_rows()]:
            ends = [piece.last() for piece in pieces if piece.goes_on]
            if not ends:
                yield [piece.take(piece.rows) for piece in pieces]
                return
            bound = min(ends)
            counts = [piece.below(bound) for piece in pieces]
            if any(counts):
                yield [piece.take(n) for piece, n in zip(pieces, counts, strict=True) if n]
                continue
            # A text that fills the batch of a piece: all of it in one piece, then in the next.
            first = next(piece for piece in pieces if piece.first() == bound)
            yield [first.take(first.rows - first.above(bound))]


def _cut(table: pa.Table) -> Iterator[pa.Table]:
    """Halve rows until none of the parts is large: long ones may lie side by side."""
    if table.nbytes <= BATCH_BYTES or table.num_rows == 1:
        yield table
        return
    half = table.num_rows // 2
    yield from _cut(table.slice(0, half))
    yield from _cut(table.slice(half))


def _whole_texts(table: pa.Table) -> int:
    """Return how many rows stand before the last text, which may go on; all if it is alone."""
    texts = table.column(BY)
    rows = int(table.num_rows)
    return rows - int(pc.sum(pc.equal(texts, texts[-1])).as_py()) or rows


@dataclass(slots=True)
class _Piece:
    """A sorted file, read batch by batch."""

    file: Any
    _next: int = 0
    _rows: pa.Table | None = field(default=None)

    @property
    def goes_on(self) -> bool:
        return bool(self._next < self.file.num_record_batches)

    @property
    def rows(self) -> int:
        return 0 if self._rows is None else self._rows.num_rows

    def has_rows(self) -> bool:
        """Read the next batch if the last one was taken; False at the end."""
        if not self.rows and self.goes_on:
            self._rows = pa.Table.from_batches([self.file.get_batch(self._next)])
            self._next += 1
        return self.rows > 0

    def first(self) -> str:
        return str(self._texts()[0].as_py())

    def last(self) -> str:
        return str(self._texts()[-1].as_py())

    def below(self, text: str) -> int:
        return int(pc.sum(pc.less(self._texts(), text)).as_py() or 0)

    def above(self, text: str) -> int:
        return int(pc.sum(pc.greater(self._texts(), text)).as_py() or 0)

    def take(self, rows: int) -> pa.Table:
        """Return the next rows, and go on behind them."""
        table = self._table()
        self._rows = table.slice(rows)
        return table.slice(0, rows)

    def _texts(self) -> pa.ChunkedArray:
        return self._table().column(BY)

    def _table(self) -> pa.Table:
        if self._rows is None:
            raise LookupError("no batch was read yet")
        return self._rows
