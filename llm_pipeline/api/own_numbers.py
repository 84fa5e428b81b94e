"""The numbers of this installation itself: every few minutes kept, told and held to limits like
those that others post of their systems."""

import logging
import shutil
import threading
import time

import psutil

from llm_pipeline.api.live import Live
from llm_pipeline.api.measuring import Requests
from llm_pipeline.errors import PipelineError
from llm_pipeline.steps.post_metrics import Measured, post_metrics
from llm_pipeline.store import log
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.wiring import Parts, now

logger = logging.getLogger(__name__)

SOURCE = "installation"
ACTOR = "api"


class OwnNumbers:
    """The thread that measures this process, its store and its disk."""

    def __init__(self, parts: Parts, live: Live, requests: Requests) -> None:
        self._parts = parts
        self._live = live
        self._requests = requests
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="own numbers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        self._process.cpu_percent()  # the first call begins the time that the next one measures
        while not self._stop.wait(self._parts.settings.numbers_seconds):
            try:
                self.record()
            except (DatabaseError, *UNAVAILABLE, PipelineError, OSError) as error:
                logger.warning("the numbers of now are not kept: %s", error)

    def record(self) -> None:
        """Measure once, and post it."""
        measured = self.measure()
        with self._parts.begin() as session:
            at = now()
            post_metrics(session, Measured(SOURCE, measured, at), ACTOR, at)

    def measure(self) -> dict[str, float]:
        """Return the numbers by name; the unit ends the name."""
        began = time.perf_counter()
        with self._parts.read() as session:
            latest = log.latest(session)
        read = time.perf_counter() - began
        took = self._requests.recent()
        found = {
            "database_read_ms": read * 1000,
            "requests_of_5_minutes": took.requests,
            "failed_requests_of_5_minutes": took.failed,
            "memory_mb": self._process.memory_info().rss / 2**20,
            "cpu_percent": self._process.cpu_percent(),
            "disk_free_gb": shutil.disk_usage(self._parts.settings.path()).free / 2**30,
            "recogniser_behind_events": max(0, latest - self._live.serving.offset),
        }
        if took.requests:
            found["request_p95_ms"] = took.p95 * 1000
        return {name: round(value, 3) for name, value in found.items()}
