"""What is written faster than a client reads it: by way of a file on the disk."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_PIECE = 1 << 18
_LOOK_SECONDS = 0.02


class Spooled(StreamingResponse):
    """Sends what `spooled` yields, and puts its file away also when the client leaves early.

    Left to the garbage collector, the file may go before the generator that holds it.
    """

    def __init__(
        self,
        pieces: Callable[[], Iterable[bytes]],
        folder: Path,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        self._spooled = spooled(pieces, folder)
        super().__init__(self._spooled, 200, headers, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self._spooled.close)


def spooled(pieces: Callable[[], Iterable[bytes]], folder: Path) -> Generator[bytes, None, None]:
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
