"""Plans in the background: one thread, one plan at a time, taken up again after a stop."""

import logging
import queue
import threading
from datetime import timedelta

from llm_pipeline.errors import PipelineError
from llm_pipeline.steps.apply_plan import fail, run
from llm_pipeline.steps.plan import forget_old
from llm_pipeline.store import plans
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.tracing import span
from llm_pipeline.wiring import Parts, now

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
TIDY_SECONDS = 3600.0
# A preview that nobody acts on says less and less of how things stand.
FORGOTTEN_AFTER = timedelta(days=1)


class PlanWorker:
    """A queue of plans and the thread that carries them out.

    A stop ends the running plan after its current chunk; the next start takes it up there.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._queue: queue.Queue[int | None] = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plan worker", daemon=True)

    def start(self) -> None:
        with self._parts.read() as session:
            interrupted = plans.under_way(session)
        for plan_id in interrupted:
            self.put(plan_id)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._queue.put(None)
        self._thread.join()

    def put(self, plan_id: int) -> None:
        """Take a plan in that is to be applied or undone; one that is not any more is left."""
        self._queue.put(plan_id)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                plan_id = self._queue.get(timeout=TIDY_SECONDS)
            except queue.Empty:
                self._tidy()
            else:
                if plan_id is not None:
                    self._work(plan_id)

    def _work(self, plan_id: int) -> None:
        try:
            with span("carry out a plan", plan=plan_id):
                run(self._parts.database, plan_id, now, self._stop.is_set)
        except UNAVAILABLE as error:
            logger.warning("plan %s waits for the database: %s", plan_id, error)
            self._stop.wait(RETRY_SECONDS)
            self.put(plan_id)
        except (PipelineError, DatabaseError) as error:
            logger.exception("plan %s failed", plan_id)
            self._fail(plan_id, str(error)[:1000])

    def _fail(self, plan_id: int, error: str) -> None:
        try:
            with self._parts.begin() as session:
                fail(session, plan_id, error, now())
        except (PipelineError, DatabaseError):
            logger.exception("that plan %s failed cannot be stored", plan_id)

    def _tidy(self) -> None:
        try:
            forget_old(self._parts.database, now() - FORGOTTEN_AFTER)
        except DatabaseError as error:
            logger.warning("old plans are forgotten later: %s", error)
