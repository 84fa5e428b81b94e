"""Rows of a file in the order in which they are merged, with what each new mapping comes to.

Sorted by the text, because the order of B-tree inserts is what costs. What the statements of `bulk`
find out about a text row by row is counted here once for all texts; the rules are the same.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# A text with more rows is merged in several slices, so that none takes long.
MOST_OF_A_TEXT = 2_500
_NO_TARGET = -1
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows by text, then by row, with the columns of `staging`; where texts start, and where one
    that is long goes on."""

    table: pa.Table
    starts: Numbers
    held: Numbers


def in_order(table: pa.Table) -> pa.Table:
    """Sort rows by their text; equal ones stay in their order."""
    return table.take(pc.sort_indices(table.column("normalized")))


def in_pages(tables: Iterable[pa.Table], *, trusted: bool) -> Iterator[Sorted]:
    """Say of rows in order, table by table, what becomes of each text if it is new. Positions are
    counted from 1 and go on from table to table."""
    behind, last = 0, None
    for table in tables:
        page = _page(table.combine_chunks(), behind, last, trusted=trusted)
        yield page
        behind += table.num_rows
        last = table.column("normalized")[-1] if table.num_rows else last


def _page(table: pa.Table, behind: int, before: pa.Scalar | None, *, trusted: bool) -> Sorted:
    """Look at the rows behind so many others, the last of which has the text `before`."""
    first, held = _starts(table.column("normalized").combine_chunks())
    if len(first) and before is not None and table.column("normalized")[0] == before:
        held = np.insert(held, 0, 0)
    text = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    target = table.column("target_id").fill_null(_NO_TARGET).to_numpy()
    told = _labels(text, starts, target) if trusted else _proposals(text, starts, target)
    columns = {
        "position": np.arange(behind + 1, behind + len(text) + 1),
        "start": starts[text] + behind + 1,
        "leader": told.leader + behind + 1,
        "members": told.members,
        "proposal": pa.array(told.proposal, mask=told.proposal == _NO_TARGET),
        "conflict": told.conflict.astype(np.int8),
        "version": told.version,
        "is_live": told.is_live.astype(np.int8),
    }
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    return Sorted(table, starts + behind + 1, held + behind + 1)


@dataclass(frozen=True, slots=True)
class _Told:
    """By row: which one the mapping is made of, and what that mapping is then."""

    leader: Numbers
    members: Numbers
    proposal: Numbers
    conflict: NDArray[np.bool_]
    version: Numbers
    is_live: NDArray[np.bool_]


def _starts(normalized: pa.StringArray) -> tuple[NDArray[np.bool_], Numbers]:
    """Return which rows begin a text or a part of a long one, and where such parts begin."""
    size = len(normalized)
    first = np.ones(size, np.bool_)
    if size:
        first[1:] = np.asarray(pc.not_equal(normalized[1:], normalized[:-1]))
    begins = np.flatnonzero(first)
    place = np.arange(size) - np.repeat(begins, np.diff(begins, append=size))
    held = np.flatnonzero((place > 0) & (place % MOST_OF_A_TEXT == 0))
    first[held] = True
    return first, held


def _proposals(text: Numbers, starts: Numbers, target: Numbers) -> _Told:
    """The first row makes the mapping; a proposal it lacks is the last one there is, and any other
    is a conflict. Each of the two changes raises the version."""
    if not len(text):
        return _nothing()
    said = np.where(target != _NO_TARGET, np.arange(len(text)), -1)
    last = np.maximum.reduceat(said, starts)
    own = target[starts]
    filled = (own == _NO_TARGET) & (last >= 0)
    proposal = np.where(filled, target[last], own)
    differs = (target != _NO_TARGET) & (target != proposal[text])
    conflict = np.logical_or.reduceat(differs, starts)
    version = 1 + filled + conflict
    members = np.diff(starts, append=len(text))
    live = np.zeros(len(text), np.bool_)
    return _Told(starts[text], members[text], proposal[text], conflict[text], version[text], live)


def _labels(text: Numbers, starts: Numbers, target: Numbers) -> _Told:
    """One mapping for each text and target, made of its first row; that of the last row is live."""
    if not len(text):
        return _nothing()
    pair = text * (target.max() + 1) + target
    _, leaders, group, sizes = np.unique(
        pair, return_index=True, return_inverse=True, return_counts=True
    )
    last = np.append(starts[1:], len(text)) - 1
    live = target == target[last][text]
    none = np.zeros(len(text), np.bool_)
    return _Told(leaders[group], sizes[group], target, none, 1 + live, live)


def _nothing() -> _Told:
    none, no = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    return _Told(none, none, none, no, none, no)
