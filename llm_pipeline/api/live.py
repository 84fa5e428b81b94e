"""What keeps the API up to date: one thread that follows the log for the recogniser and streams."""

import asyncio
import logging
import threading
import time
from typing import Any

from llm_pipeline.errors import PipelineError
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.store import log
from llm_pipeline.store.state import DatabaseError
from llm_pipeline.wiring import Parts

logger = logging.getLogger(__name__)

WAIT_SECONDS = 0.25
RETRY_SECONDS = 1.0


class Live:
    """The recogniser in service, and a signal to every open stream when the log has moved.

    Streams read the log themselves, so that a slow client holds no memory here.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.serving: Serving = parts.serving()
        self.stopping = False
        self.told = self.serving.offset  # up to where the streams were told that there is more
        self.looked_at = time.monotonic()
        self.reads: dict[object, asyncio.Task[Any]] = {}  # of streams, while they run
        self._stop = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._moved = asyncio.Event()
        self._thread = threading.Thread(target=self._follow, name="log follower", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and the streams with it."""
        self.end_streams()
        self._stop.set()
        self._thread.join()

    def end_streams(self) -> None:
        self.stopping = True
        self._signal()

    def moved(self) -> asyncio.Event:
        """Return what the next move of the log will set; take it before reading the log."""
        return self._moved

    def catch_up(self) -> None:
        """Make what was just committed count in recognition; the follower repeats a failure."""
        try:
            self._refresh()
        except (DatabaseError, PipelineError, OSError) as error:
            logger.warning("recognition could not catch up with the log: %s", error)

    def _refresh(self) -> None:
        with self._parts.read() as session:
            self.serving.refresh(session)

    def _follow(self) -> None:
        seen = self.serving.offset
        while not self._stop.is_set():
            try:
                latest = log.wait(self._parts.engine, seen, WAIT_SECONDS)
                self.looked_at = time.monotonic()
                if latest != seen:
                    self._signal()
                    self.told = latest
                    self._refresh()
                    seen = latest
            except (DatabaseError, PipelineError, OSError) as error:
                logger.warning("the log cannot be followed, trying again: %s", error)
                self._stop.wait(RETRY_SECONDS)

    def _signal(self) -> None:
        if self.loop is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._pulse)

    def _pulse(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
