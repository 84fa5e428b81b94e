"""Columns of text as one run of bytes, so that a rule for a letter is a look-up for all of them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Runs:
    """The bytes of all cells behind one another, and where each cell begins and ends."""

    data: Bytes
    ends: NDArray[np.int64]  # of the cell before, and of this one: one more than there are cells

    def starts(self) -> NDArray[np.int64]:
        """Return where the cells that are not empty begin."""
        return self.ends[:-1][self.ends[:-1] < self.ends[1:]]

    def kept(self, keep: Flags) -> "Runs":
        """Return the same without the bytes that are not to be kept."""
        before = np.zeros(len(keep) + 1, np.int64)
        np.cumsum(keep, out=before[1:])
        return Runs(self.data[keep], before[self.ends])

    def without(self, places: NDArray[np.int64]) -> "Runs":
        """Return the same without the bytes at some places."""
        if not len(places):
            return self
        keep = np.ones(len(self.data), np.bool_)
        keep[places] = False
        return self.kept(keep)

    def cells_with(self, marked: Flags) -> Flags:
        """Return which cells hold a marked byte."""
        held = np.zeros(len(self.ends) - 1, np.bool_)
        places = np.flatnonzero(marked)
        held[np.searchsorted(self.ends, places, side="right") - 1] = True
        return held


def runs(column: pa.StringArray) -> Runs:
    """Take a column without nulls apart; nothing is copied."""
    _, offsets, data = column.buffers()
    first, last = column.offset, column.offset + len(column) + 1
    ends = np.frombuffer(offsets, np.int32)[first:last].astype(np.int64)
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return Runs(raw[ends[0] : ends[-1]], ends - ends[0])


def column(cells: Runs) -> pa.StringArray:
    """Put a column together again; its bytes must be UTF-8."""
    ends = pa.py_buffer(np.ascontiguousarray(cells.ends, np.int32))
    data = pa.py_buffer(np.ascontiguousarray(cells.data))
    return pa.StringArray.from_buffers(len(cells.ends) - 1, ends, data)


def whole(chunked: pa.ChunkedArray) -> pa.StringArray:
    """Return a column in one piece, empty cells where it has none."""
    found = chunked.combine_chunks() if isinstance(chunked, pa.ChunkedArray) else chunked
    return found.fill_null("") if found.null_count else found
