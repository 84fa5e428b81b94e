"""A block of a file through the gate: its good rows as submissions, its bad ones with reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from llm_pipeline.domain.rows import Columns
from llm_pipeline.gates.apart import failing_rows
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.readers.blocks import Block, content
from llm_pipeline.store.uploads import Rejected
from llm_pipeline.vectors.rows import STATES, Known, parse_rows

# What the gate said to a kind of row. Bad ones may each be of a kind of their own: not for ever.
_ANSWERS: dict[tuple[object, ...], Sequence[str]] = {}
_MOST_ANSWERS = 10_000
_LIMITS = sorted(
    limit
    for rule in SUITES["submissions"]
    if rule.column == "text_length"
    for name in ("min_value", "max_value")
    if (limit := rule.arguments[name]) is not None
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a block comes to: `good` has `row`, `line` and the columns of a submission."""

    good: pa.Table
    rejected: Sequence[Rejected]

    def begins_by(self, row: int) -> bool:
        """Whether it has a row up to this one."""
        good = self.good.num_rows and self.good.column("row")[0].as_py() <= row
        return bool(good or (self.rejected and self.rejected[0].row <= row))


def check_block(block: Block, columns: Columns, known: Known, *, needs_target: bool) -> Checked:
    """Parse the rows of a block and let the gate `submissions` part them."""
    parsed = parse_rows(block.table, columns, known, needs_target=needs_target)
    table = parsed.table.add_column(0, "line", pa.array(block.lines))
    table = table.add_column(0, "row", pa.array(block.rows))
    reasons = _failing_rows(parsed.states) if table.num_rows else {}
    places = np.array(sorted(reasons), np.int64)
    failing = [_rejected(block, place, reasons[place]) for place in places.tolist()]
    unreadable = [Rejected(b.row, b.line, b.problem, _storable(b.content)) for b in block.bad]
    good = table if not len(places) else table.filter(pa.array(_others(places, table.num_rows)))
    return Checked(good, sorted([*failing, *unreadable]))


def _failing_rows(states: pd.DataFrame) -> Mapping[int, Sequence[str]]:
    """Return the reasons of the failing rows, by their place.

    The gate costs 4 s for a million rows, and most of them are of a few kinds: rows that differ in
    nothing that it looks at get the same answer, so it is shown one of each kind, once.
    """
    kind = np.zeros(len(states), np.int64)
    for seen in _looked_at(states):
        codes, values = pd.factorize(seen)
        kind = kind * len(values) + codes
    _, first, kind = np.unique(kind, return_index=True, return_inverse=True)
    reasons = _reasons_of_kinds(states.iloc[first].reset_index(drop=True))
    places = np.flatnonzero(np.array([bool(found) for found in reasons])[kind])
    return {place: reasons[kind[place]] for place in places.tolist()}


def _reasons_of_kinds(states: pd.DataFrame) -> list[Sequence[str]]:
    """Return what the gate says to a row of each kind; it is asked about those that are new."""
    kinds = list(zip(*(column.tolist() for column in _looked_at(states)), strict=True))
    known = {kind: _ANSWERS[kind] for kind in kinds if kind in _ANSWERS}
    new = [place for place, kind in enumerate(kinds) if kind not in known]
    if new:
        found = failing_rows("submissions", states.iloc[new].reset_index(drop=True))
        known |= {kinds[place]: found.get(asked, ()) for asked, place in enumerate(new)}
        if len(_ANSWERS) + len(new) <= _MOST_ANSWERS:
            _ANSWERS.update(known)
    return [known[kind] for kind in kinds]


def _looked_at(states: pd.DataFrame) -> list[pd.Series]:
    """Return what the gate tells rows apart by: of a text whether there is one, of its length on
    which side of each limit it is."""
    length = states["text_length"].to_numpy()
    # Below a limit, at it and above it are three numbers, whatever the other limits add.
    side = np.searchsorted(_LIMITS, length, "left") + np.searchsorted(_LIMITS, length, "right")
    return [states["text"].isna(), pd.Series(side), *(states[name] for name in STATES[2:])]


def _others(places: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    kept = np.ones(size, np.bool_)
    kept[places] = False
    return kept


def _rejected(block: Block, place: int, reasons: Sequence[str]) -> Rejected:
    values = [column[place].as_py() or "" for column in block.table.columns]
    row, line = int(block.rows[place]), int(block.lines[place])
    return Rejected(row, line, "; ".join(reasons), _storable(content(values)))


def _storable(text: str) -> str:
    # Surrogates cannot be stored as UTF-8, NUL not in PostgreSQL.
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
