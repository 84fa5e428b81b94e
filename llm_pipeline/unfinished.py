"""A file that grows block by block under a temporary name, and appears whole by a rename.

What breaks off stays readable beside its goal: CSV as `NAME.partial.csv`, Parquet as the folder
`NAME.partial.parquet` of one file a block. A journal (`.json` behind that name) says how far it
came and what it was made for, so that the next run goes on. The blocks are taken as they are.
"""

import fcntl
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from llm_pipeline.errors import Conflict, InvalidInput, SetupError
from llm_pipeline.growing import Appended, Folder, Growing, Join

JOURNAL_SECONDS = 1.0

Purpose = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the output, whole in itself, with the number of rows of each outcome."""

    data: bytes
    outcomes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an output came: `extent` is in bytes of a file, or in files of a folder."""

    purpose: Purpose
    extent: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(self.outcomes.values())

    def grown(self, by: int, outcomes: Mapping[str, int]) -> "Standing":
        return replace(
            self,
            extent=self.extent + by,
            outcomes=dict(Counter(self.outcomes) + Counter(outcomes)),
        )


class Unfinished:
    """An output on its way; a context manager that leaves only whole blocks behind."""

    def __init__(self, goal: Path, growing: Growing, journal: Path, standing: Standing) -> None:
        self.goal = goal
        self.standing = standing
        self._growing = growing
        self._journal = journal
        self._noted_at = time.monotonic()

    def __enter__(self) -> Self:
        with ExitStack() as undo, _told(self.goal):
            descriptor = self._growing.open()
            undo.callback(self._growing.close)
            _lock(descriptor, self.goal)
            self._growing.cut(self.standing.extent)
            self._note()  # an older journal would speak of another output
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._leave_whole()
        self._growing.close()

    @property
    def path(self) -> Path:
        return self._growing.path

    def head(self, data: bytes) -> None:
        """Begin a new output."""
        self.add(Block(data, {}))

    def add(self, block: Block) -> None:
        with _told(self.goal):
            grown = self._growing.add(block.data) if block.data else 0
            # One assignment: an interrupt comes before it or behind it.
            self.standing = self.standing.grown(grown, block.outcomes)
            if time.monotonic() - self._noted_at > JOURNAL_SECONDS:
                self._note()

    def finish(self) -> None:
        """Let the output appear under its own name."""
        with _told(self.goal):
            self._note()
            self._growing.finish(self.goal)
            self._journal.unlink()

    def _leave_whole(self) -> None:
        try:
            self._growing.cut(self.standing.extent)
            self._note()
        except OSError:
            # A full disk: the journal of a moment ago stands, and the next run cuts back to it.
            return

    def _note(self) -> None:
        self._growing.settle()
        coming = self._journal.with_name(f"{self._journal.name}.new")
        with coming.open("w", encoding="utf-8") as file:
            json.dump(asdict(self.standing), file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        coming.replace(self._journal)
        self._noted_at = time.monotonic()


def partial_path(goal: Path, ending: str) -> Path:
    """Return where an output lies until it is finished."""
    stem = goal.name[: len(goal.name) - len(ending)]
    return goal.with_name(f"{stem}.partial{ending}")


def begin(
    goal: Path, ending: str, purpose: Purpose, join: Join | None, *, resume: bool, overwrite: bool
) -> Unfinished:
    """Begin an output, or go on with one that broke off: its `standing.extent` is not 0 then.

    `join` is for outputs whose blocks cannot simply follow one another. InvalidInput if something
    is there that was not to be touched, or that was made for another purpose.
    """
    partial = partial_path(goal, ending)
    journal = partial.with_name(f"{partial.name}.json")
    growing = Folder(partial, join) if join else Appended(partial)
    fresh = Unfinished(goal, growing, journal, Standing(purpose))
    if overwrite:
        return fresh
    if goal.exists():
        raise InvalidInput(
            f"{goal} is there already; choose another with --output, or replace it with --overwrite"
        )
    before = _read(journal) if partial.exists() else None
    if before is None or not before.rows:
        return fresh
    if not resume:
        raise InvalidInput(
            f"{partial} holds {before.rows:,} rows of a batch that broke off; go on with --resume, "
            "or begin anew with --overwrite"
        )
    _same(before.purpose, purpose, partial)
    return Unfinished(goal, growing, journal, before)


def _read(journal: Path) -> Standing | None:
    try:
        noted = json.loads(journal.read_text(encoding="utf-8"))
        return Standing(noted["purpose"], noted["extent"], noted["outcomes"])
    except FileNotFoundError:
        return None  # it broke off before the first note was taken
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{journal} cannot be read ({error}); begin anew with --overwrite"
        ) from error


def _same(before: Purpose, now: Purpose, partial: Path) -> None:
    for name in now:
        if before.get(name) != now[name]:
            raise InvalidInput(
                f"{partial} was begun with another {name} ({before.get(name)}, now {now[name]}); "
                "give the same as then, or begin anew with --overwrite"
            )


def _lock(descriptor: int, goal: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict(f"another run is writing {goal}; wait for it, or end it") from error


@contextmanager
def _told(goal: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupError(
            f"{goal} cannot be written: {error.strerror or error}. Make room or choose another "
            "place with --output"
        ) from error
