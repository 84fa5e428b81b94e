"""What is written faster than a client reads it: by way of a file on the disk."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import BinaryIO

_PIECE = 1 << 18
_LOOK_SECONDS = 0.02


def spooled(pieces: Callable[[], Iterable[bytes]], folder: Path) -> Iterator[bytes]:
    """Yield what `pieces` yields, which never waits for whoever takes it.

    It reads the store in one transaction: while that is open SQLite cannot shorten its log, and a
    client may take as long as it likes. Whoever stops taking ends it at its next piece.
    """
    left = Event()
    with TemporaryFile(dir=folder) as file, ThreadPoolExecutor(1, "export") as pool:
        writing = pool.submit(_write, pieces, file, left)
        try:
            yield from _taken(file.fileno(), writing.done)
            writing.result()
        finally:
            left.set()


def _write(pieces: Callable[[], Iterable[bytes]], file: BinaryIO, left: Event) -> None:
    for piece in pieces():
        file.write(piece)
        file.flush()
        if left.is_set():
            return


def _taken(descriptor: int, is_written: Callable[[], bool]) -> Iterator[bytes]:
    offset, waiting = 0, Event()
    while True:
        was_written = is_written()
        piece = os.pread(descriptor, _PIECE, offset)
        offset += len(piece)
        if piece:
            yield piece
        elif was_written:
            return
        else:
            waiting.wait(_LOOK_SECONDS)
