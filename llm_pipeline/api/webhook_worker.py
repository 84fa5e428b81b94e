"""Webhooks are told: one thread hands out, and one for each message on its way.

A receiver that hangs keeps its own thread busy for some seconds, and nobody else waiting.
"""

import logging
import secrets
import threading

from llm_pipeline.posting import destination, post
from llm_pipeline.steps.deliver import attempt, hand_out, take
from llm_pipeline.store import log, webhooks
from llm_pipeline.store.state import DatabaseError
from llm_pipeline.store.webhooks import Due
from llm_pipeline.wiring import Parts, now

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.5
AT_ONCE = 16
# What is still on its way then is sent again after the next start, with the same id.
STOP_SECONDS = 2.0


class WebhookWorker:
    """Follows the log for webhooks, and sends what is due."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._on_the_way: dict[int, threading.Thread] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="webhook worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        self._thread.join()
        for thread in list(self._on_the_way.values()):
            thread.join(STOP_SECONDS / max(1, len(self._on_the_way)))

    def wake(self) -> None:
        """Look for what is due at once."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._work()
            except DatabaseError as error:
                logger.warning("webhooks wait for the database: %s", error)
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _work(self) -> None:
        with self._parts.read() as session:
            latest, known = log.latest(session), webhooks.all_of(session, active=True)
            busy = set(self._on_the_way)
            waits = bool(webhooks.due(session, now(), busy, 1)) if known else False
        if any(one.upto < latest for one in known):
            with self._parts.begin() as session:
                hand_out(session, _message_id, now())
            waits = True
        if waits:
            with self._parts.begin() as session:
                taken = take(session, busy, AT_ONCE - len(busy), now())
            for due in taken:
                self._send(due)

    def _send(self, due: Due) -> None:
        name = f"webhook {due.webhook_id}"
        thread = threading.Thread(target=self._attempt, args=(due,), name=name, daemon=True)
        self._on_the_way[due.webhook_id] = thread
        thread.start()

    def _attempt(self, due: Due) -> None:
        try:
            attempt(self._parts.database, due, destination, post, now)
        except DatabaseError as error:
            logger.warning("what came of delivery %s is not stored: %s", due.delivery_id, error)
        finally:
            del self._on_the_way[due.webhook_id]
            self._wake.set()


def _message_id() -> str:
    return f"msg_{secrets.token_urlsafe(18)}"
