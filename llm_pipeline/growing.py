"""Where the blocks of an unfinished output are put: behind one another, or as files of a folder.

When they are noted, and what for, is the business of `unfinished`.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from llm_pipeline.errors import InvalidInput

Join = Callable[[list[Path], Path], None]


class Growing(Protocol):
    """Where the blocks are put."""

    path: Path

    def open(self) -> int:
        """Make or open it; return a descriptor to lock."""

    def cut(self, extent: int) -> None:
        """Drop what is behind the last block that counts."""

    def add(self, block: bytes) -> int:
        """Put a block behind the others; return by how much it grew."""

    def settle(self) -> None:
        """See to it that everything is on the disk."""

    def finish(self, goal: Path) -> None:
        """Make it the goal."""

    def close(self) -> None: ...


class Appended:
    """One file, blocks one behind another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO

    def open(self) -> int:
        self.path.touch()
        self._file = self.path.open("r+b")
        return self._file.fileno()

    def cut(self, extent: int) -> None:
        if self.path.stat().st_size < extent:
            raise InvalidInput(
                f"{self.path} is shorter than its journal says; begin anew with --overwrite"
            )
        self._file.truncate(extent)
        self._file.seek(extent)

    def add(self, block: bytes) -> int:
        self._file.write(block)
        self._file.flush()
        return len(block)

    def settle(self) -> None:
        os.fsync(self._file.fileno())

    def finish(self, goal: Path) -> None:
        self.path.replace(goal)

    def close(self) -> None:
        self._file.close()


class Folder:
    """One file a block; `join` makes one of them all."""

    def __init__(self, path: Path, join: Join) -> None:
        self.path = path
        self._join = join
        self._parts = 0
        self._descriptor = -1

    def open(self) -> int:
        self.path.mkdir(exist_ok=True)
        self._descriptor = os.open(self.path, os.O_RDONLY)
        return self._descriptor

    def cut(self, extent: int) -> None:
        wanted = set(self._files(extent))
        for path in self.path.iterdir():
            if path not in wanted:
                path.unlink()
        self._parts = extent

    def add(self, block: bytes) -> int:
        (path,) = self._files(self._parts + 1)[-1:]
        # A leading underscore: readers of such folders pass it over.
        coming = path.with_name(f"_{path.name}")
        with coming.open("wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
        coming.replace(path)
        self._parts += 1
        return 1

    def settle(self) -> None:
        os.fsync(self._descriptor)

    def finish(self, goal: Path) -> None:
        whole = self.path / "_whole"
        self._join(self._files(self._parts), whole)
        whole.replace(goal)
        shutil.rmtree(self.path)

    def close(self) -> None:
        os.close(self._descriptor)

    def _files(self, number: int) -> list[Path]:
        return [self.path / f"part-{place:08}.parquet" for place in range(1, number + 1)]
