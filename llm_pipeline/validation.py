"""A block of a file through the gate: its good rows as submissions, its bad ones with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from llm_pipeline.domain.rows import Columns
from llm_pipeline.gates.kinds import failing_rows
from llm_pipeline.readers.blocks import Block, content
from llm_pipeline.store.uploads import Rejected
from llm_pipeline.vectors.rows import Known, parse_rows


@dataclass(frozen=True, slots=True)
class Checked:
    """What a block comes to: `good` has `row`, `line` and the columns of a submission, `failing`
    the same of rows that the gate rejected."""

    good: pa.Table
    rejected: Sequence[Rejected]
    failing: pa.Table

    def begins_by(self, row: int) -> bool:
        """Whether it has a row up to this one."""
        good = self.good.num_rows and self.good.column("row")[0].as_py() <= row
        return bool(good or (self.rejected and self.rejected[0].row <= row))


def check_block(block: Block, columns: Columns, known: Known, *, needs_target: bool) -> Checked:
    """Parse the rows of a block and let the gate `submissions` part them."""
    parsed = parse_rows(block.table, columns, known, needs_target=needs_target)
    table = parsed.table.add_column(0, "line", pa.array(block.lines))
    table = table.add_column(0, "row", pa.array(block.rows))
    reasons = failing_rows("submissions", parsed.states)
    places = np.array(sorted(reasons), np.int64)
    failing = [_rejected(block, place, reasons[place]) for place in places.tolist()]
    unreadable = [Rejected(b.row, b.line, b.problem, _storable(b.content)) for b in block.bad]
    good = table if not len(places) else table.filter(pa.array(_others(places, table.num_rows)))
    return Checked(good, sorted([*failing, *unreadable]), table.take(pa.array(places)))


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
