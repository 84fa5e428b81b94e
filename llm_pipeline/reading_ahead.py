"""A file in runs of rows, checked, sorted and staged in a thread of its own while the run before is
merged.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_pipeline.domain.rows import Columns
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers.blocks import Block
from llm_pipeline.readers.kinds import open_reader, read_blocks
from llm_pipeline.store import uploads
from llm_pipeline.store.engine import Database
from llm_pipeline.store.sorting import in_order, in_pages
from llm_pipeline.store.spilling import Spilled
from llm_pipeline.store.staged import Staged, folder, stage
from llm_pipeline.validation import Checked, check_block
from llm_pipeline.vectors.rows import Known

# The first run is small, so that merging begins early; each is as long as all before it: the fewer
# there are, the less often their texts go through all of the indexes. Reading takes half as long as
# merging, so that the next one is there when one ends.
FIRST_RUN = 50_000
LONGEST_RUN = 2_000_000
MOST_BYTES = 2**28  # on disk
MOST_REJECTED = 50_000  # in memory
LOOK_SECONDS = 1.0
# What is sorted in memory at once.
PIECE_ROWS = 100_000
PIECE_BYTES = 12 * 2**20


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that follow one another in a file: the good ones staged, the bad ones with reasons.
    `last` is the number of the last one, good or bad."""

    staged: Staged
    rejected: Sequence[uploads.Rejected]
    last: int


@dataclass(frozen=True, slots=True)
class Task:
    """What is read, and what is known of it: its columns, the catalogue, where it stopped."""

    path: Path
    encoding: str
    columns: Columns
    known: Known
    trusted: bool
    upload: uploads.Upload


class ReadingAhead:
    """Yields the runs of a file; one is always being read while another is merged."""

    def __init__(self, database: Database, task: Task) -> None:
        self._database = database
        self._task = task
        self._pool = ThreadPoolExecutor(1, "reading ahead")
        self._stop = threading.Event()
        self._ahead: Future[Run | None] | None = None
        self._spilled: Spilled | None = None
        self.seen = task.upload.complete_to

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True)
        if self._ahead is not None and not self._ahead.exception():
            unused = self._ahead.result()
            if unused is not None:
                unused.staged.drop(self._database)
        if self._spilled is not None:
            self._spilled.close()

    def __iter__(self) -> Iterator[Run | None]:
        """Yield run after run; None each second until the next one is there."""
        runs = self._runs()
        self._ahead = self._pool.submit(next, runs, None)
        while True:
            if not wait([self._ahead], LOOK_SECONDS).done:
                yield None
                continue
            run = self._ahead.result()
            if run is None:
                break
            self._ahead = self._pool.submit(next, runs, None)
            yield run
        self._ahead = None

    def _runs(self) -> Iterator[Run]:
        """Yield runs; what was read before an error comes before it is raised."""
        waiting = self._new()
        try:
            for checked, last in self._checked():
                waiting.add(checked, last)
                self.seen = last
                if waiting.is_long_enough():
                    yield self._staged(waiting)
                    waiting = self._new()
        except InvalidInput:
            if waiting.may_end():
                yield self._staged(waiting)
            raise
        if waiting.last and not self._stop.is_set():
            yield self._staged(waiting)

    def _new(self) -> "_Waiting":
        self._spilled = Spilled(folder(self._database.engine))
        return _Waiting(self._spilled, self._task.upload.run_end or 0)

    def _checked(self) -> Iterator[tuple[Checked, int]]:
        task = self._task
        reader = open_reader(task.path, task.encoding)
        for whole in read_blocks(reader, task.path):
            if self._stop.is_set():
                return
            block = whole.after(task.upload.complete_to)
            if whole.last > task.upload.complete_to:
                for part in _parted(block, task.upload.run_end or 0):
                    found = check_block(part, task.columns, task.known, needs_target=task.trusted)
                    yield self._not_yet_written(found), part.last

    def _not_yet_written(self, found: Checked) -> Checked:
        """Leave out what an interrupted upload has written of its last run already."""
        upload = self._task.upload
        end = upload.run_end or 0
        if not found.begins_by(end):
            return found
        with self._database.read() as session:
            aside = set(uploads.rejected_numbers(session, upload.id, upload.complete_to, end))
        written = _is_written(found.good, upload, aside)
        # What was good then may fail now: its target has retired.
        failing = found.failing.filter(_is_written(found.failing, upload, set()))
        known = aside.union(failing.column("row").to_pylist())
        rejected = [bad for bad in found.rejected if bad.row not in known]
        return Checked(found.good.filter(pc.invert(written)), rejected, found.failing)

    def _staged(self, waiting: "_Waiting") -> Run:
        with closing(waiting.spilled):
            pages = in_pages(takewhile(self._goes_on, waiting.pages()), trusted=self._task.trusted)
            staged = stage(self._database, self._task.upload.id, pages)
        pa.default_memory_pool().release_unused()
        return Run(staged, waiting.rejected, waiting.last)

    def _goes_on(self, _page: pa.Table) -> bool:
        return not self._stop.is_set()


class _Waiting:
    """Checked rows that are not yet a run. The rest of one that was interrupted ends at `least`, as
    that one did: what was written of it is known by a single place in its order."""

    def __init__(self, spilled: Spilled, least: int) -> None:
        self.spilled = spilled
        self.rejected: list[uploads.Rejected] = []
        self.last = 0
        self._least = least
        self._rows = 0
        self._bytes = 0
        self._piece: list[pa.Table] = []

    def add(self, checked: Checked, last: int) -> None:
        """Take rows up to `last`; raises OSError where there is no room to write them down."""
        self._piece.append(checked.good)
        self.rejected += checked.rejected
        self._rows += checked.good.num_rows + len(checked.rejected)
        self._bytes += checked.good.nbytes
        self.last = last
        rows = sum(table.num_rows for table in self._piece)
        if rows >= PIECE_ROWS or sum(table.nbytes for table in self._piece) >= PIECE_BYTES:
            self._spill()

    def is_long_enough(self) -> bool:
        if self.last <= self._least:
            return self.last == self._least
        wanted = min(LONGEST_RUN, max(FIRST_RUN, self.last - self._rows))
        is_full = self._bytes >= MOST_BYTES or len(self.rejected) >= MOST_REJECTED
        return self._rows >= wanted or is_full

    def may_end(self) -> bool:
        """Whether these rows can be a run though the next ones cannot be read."""
        return self.last > 0 and self.last >= self._least

    def pages(self) -> Iterator[pa.Table]:
        """Yield the rows in the order of their texts; once."""
        if len(self.spilled):
            if self._piece:
                self._spill()
            yield from self.spilled.pages()
            return
        table = pa.concat_tables(self._piece)
        self._piece.clear()
        yield in_order(table)

    def _spill(self) -> None:
        self.spilled.add(pa.concat_tables(self._piece))
        self._piece.clear()


def _parted(block: Block, row: int) -> list[Block]:
    """Part a block behind a row, if it has rows on both sides."""
    if block.first() <= row < block.last:
        return [block.until(row), block.after(row)]
    return [block]


def _is_written(good: pa.Table, upload: uploads.Upload, aside: set[int]) -> pa.BooleanArray:
    """Which rows were written: those set aside, and those up to the text where merging stopped."""
    row = good.column("row").to_numpy()
    written = np.isin(row, np.fromiter(aside, np.int64, len(aside)))
    if upload.merged_text is not None:
        text = good.column("normalized")
        before = np.asarray(pc.less(text, upload.merged_text).fill_null(False))
        same = np.asarray(pc.equal(text, upload.merged_text).fill_null(False))
        done = before | (same & (row <= (upload.merged_row or 0)))
        written |= done & (row <= (upload.run_end or 0))
    return pa.array(written)
