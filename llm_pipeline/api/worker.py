"""Uploaded files into the store: one thread, one file at a time, resumed after a stop."""

import logging
import queue
import threading
from pathlib import Path

from llm_pipeline import taking_in
from llm_pipeline.store import uploads
from llm_pipeline.store.state import UNAVAILABLE
from llm_pipeline.taking_in import Outcome
from llm_pipeline.wiring import Parts

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class UploadWorker:
    """A queue of uploads and the thread that works it off.

    A stop ends the running upload with a slice; the next start takes it up there.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.folder = parts.settings.path("uploads")
        self._queue: queue.Queue[uploads.Upload | None] = queue.Queue()
        self._queued: set[int] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upload worker", daemon=True)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._parts.read() as session:
            interrupted = uploads.unfinished(session)
        for upload in interrupted:
            # Files from elsewhere belong to a command that may still be reading them.
            if self.folder in Path(upload.path).parents:
                self.put(upload)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._queue.put(None)
        self._thread.join()

    def put(self, upload: uploads.Upload) -> None:
        """Take an upload in, unless it waits or runs already."""
        with self._lock:
            if upload.id in self._queued:
                return
            self._queued.add(upload.id)
        self._queue.put(upload)

    def _run(self) -> None:
        while not self._stop.is_set():
            upload = self._queue.get()
            if upload is not None:
                self._work(upload)

    def _work(self, upload: uploads.Upload) -> None:
        try:
            outcome = self._take_in(upload)
        except (*UNAVAILABLE, OSError) as error:
            # No process can begin, or no word of its end be stored.
            logger.warning("upload %s waits: %s", upload.id, error)
            outcome = Outcome.UNAVAILABLE
        if outcome is Outcome.UNAVAILABLE:
            self._stop.wait(RETRY_SECONDS)
            self._queue.put(upload)
        elif outcome is Outcome.ENDED:
            with self._lock:
                self._queued.discard(upload.id)

    def _take_in(self, upload: uploads.Upload) -> Outcome:
        parts = self._parts
        if upload.bytes < taking_in.OWN_PROCESS_BYTES:
            return taking_in.here(parts.database, upload, self._stop)
        log_format = parts.settings.log_format
        return taking_in.apart(parts.database, upload, self._stop, log_format)
