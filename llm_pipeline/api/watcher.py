"""Looks at every component every few seconds, and keeps what it sees."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from llm_pipeline.api import own_health
from llm_pipeline.api.live import Live
from llm_pipeline.api.measuring import Requests
from llm_pipeline.domain.health import Health, Seen, Standing, Steadied
from llm_pipeline.errors import PipelineError
from llm_pipeline.health import here, servers
from llm_pipeline.health.looking import PATIENCE_SECONDS, Check, Looker
from llm_pipeline.steps.observe import Observation, observe
from llm_pipeline.store import components
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.wiring import Parts, now

logger = logging.getLogger(__name__)

ACTOR = "api"
# `llm-pipeline up` starts everything at once, and Dagster needs half a minute: what was not well
# since then is not down, it is not up yet.
START_SECONDS = 90.0


def watcher_of(parts: Parts, live: Live, requests: Requests) -> "Watcher":
    """Return the watcher of an API."""
    checks = [
        *own_health.checks(parts, live, requests),
        *here.checks(parts),
        *servers.checks(parts.settings),
    ]
    return Watcher(parts, checks, START_SECONDS)


class Watcher:
    """The thread that looks, and how every component stands as it saw them last.

    What it knows is in memory first: a store that hangs is a component too. What changed meanwhile
    is stored once the store takes it, with the time at which it was seen.
    """

    def __init__(
        self, parts: Parts, checks: Sequence[Check], start_seconds: float = START_SECONDS
    ) -> None:
        self._parts = parts
        self._looker = Looker(checks)
        self._steadied = Steadied()
        self._start_seconds = start_seconds
        self._began = time.monotonic()
        self._standing: dict[str, Standing] = {}
        self._well: set[str] = set()
        self._unsaved: list[Observation] = []
        self._saving: threading.Thread | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        with self._parts.read() as session:
            self._standing = components.states(session)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self._saving is not None:
            self._saving.join(PATIENCE_SECONDS)

    def standing(self) -> list[Standing]:
        """Return how every component stands, by its name."""
        return [one for _, one in sorted(dict(self._standing).items())]

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._parts.settings.health_seconds)

    def look(self) -> None:
        """Look once; a change counts at the second look that sees it."""
        found = self._looker.look()
        at = now()
        for seen in found:
            if self._not_up_yet(seen):
                continue
            before = self._standing.get(seen.component)
            if self._steadied.changes(None if before is None else before.status, seen):
                stands = Standing(seen.component, seen.status, at, seen.reason, seen.detail, at)
                self._unsaved.append(Observation(seen, at))
                if before is not None or seen.reason:
                    told = seen.reason or seen.detail
                    logger.warning("%s is %s: %s", seen.component, seen.status.value, told)
            elif before is not None and before.status is seen.status:
                stands = replace(before, reason=seen.reason, detail=seen.detail, seen_at=at)
            else:
                continue
            self._standing[seen.component] = stands
        self._save()

    def _not_up_yet(self, seen: Seen) -> bool:
        if seen.status is Health.OK:
            self._well.add(seen.component)
            return False
        starting = time.monotonic() - self._began < self._start_seconds
        never = seen.component in servers.COMPANIONS and seen.component not in self._well
        return starting and never

    def _save(self) -> None:
        """Store it beside the next looks; a store that hangs must not keep them from being made."""
        if self._saving is not None and self._saving.is_alive():
            return
        changes = list(self._unsaved)
        held = [
            Observation(Seen(one.component, one.status, one.detail, one.reason), one.since)
            for one in self.standing()
        ]
        self._saving = threading.Thread(target=self._store, args=(changes, held), daemon=True)
        self._saving.start()
        self._saving.join(PATIENCE_SECONDS)

    def _store(self, changes: list[Observation], held: list[Observation]) -> None:
        try:
            with self._parts.begin() as session:
                observe(session, [*changes, *held], ACTOR, now())
        except (DatabaseError, *UNAVAILABLE, PipelineError) as error:
            logger.warning("what components are like is stored later: %s", error)
            return
        self._unsaved = self._unsaved[len(changes) :]
