"""Uploaded files into the store: one thread, one file at a time, resumed after a stop."""

import logging
import queue
import threading
from concurrent.futures import CancelledError
from pathlib import Path

from llm_pipeline.errors import PipelineError
from llm_pipeline.steps.ingest import Progress, take_in
from llm_pipeline.store import uploads
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.tracing import span
from llm_pipeline.wiring import Parts, now

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class UploadWorker:
    """A queue of uploads and the thread that works it off.

    A stop ends the running upload after its current slice; the next start takes it up there.
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
            with span("take in a file", upload=upload.id):
                take_in(self._parts.database, upload, now, self._progress)
        except CancelledError:
            return
        except UNAVAILABLE as error:
            logger.warning("upload %s waits for the database: %s", upload.id, error)
            self._stop.wait(RETRY_SECONDS)
            self._queue.put(upload)
            return
        except (
            PipelineError,
            DatabaseError,
            OSError,
            ArithmeticError,
            LookupError,
            ValueError,
        ) as error:
            # Whatever one file does to us, the files behind it go on.
            logger.exception("upload %s failed", upload.id)
            self._fail(upload, error)
        with self._lock:
            self._queued.discard(upload.id)

    def _progress(self, _told: Progress) -> None:
        if self._stop.is_set():
            raise CancelledError

    def _fail(self, upload: uploads.Upload, error: Exception) -> None:
        said = str(error) if isinstance(error, PipelineError) else f"it cannot be stored: {error}"
        with self._parts.begin() as session:
            uploads.set_status(session, upload.id, "failed", now(), said[:1000])
