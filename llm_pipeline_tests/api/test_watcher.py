"""The watcher: two looks before a change, a start in peace, and a store that takes nothing."""

import threading
from collections.abc import Callable

import pytest

from llm_pipeline.api.watcher import Watcher
from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.health.looking import Check
from llm_pipeline.steps.observe import Observation, observe
from llm_pipeline.store import alerts, components, log
from llm_pipeline.wiring import Parts, now
from llm_pipeline_tests.api.live_server import wait_for

DOWN, OK = Health.DOWN, Health.OK


class Told:
    """Components as a test wants them to be."""

    def __init__(self, **statuses: Health) -> None:
        self.statuses = statuses

    def checks(self) -> list[Check]:
        return [Check(name, self._look(name)) for name in self.statuses]

    def _look(self, name: str) -> Callable[[], list[Seen]]:
        return lambda: [Seen(name, self.statuses[name], "seen", "" if self._well(name) else "bad")]

    def _well(self, name: str) -> bool:
        return self.statuses[name] is OK


def looked(watcher: Watcher) -> bool:
    watcher.look()
    return True


def names(parts: Parts) -> list[str]:
    with parts.read() as session:
        return [event.name for event in log.read_since(session, 0)]


def test_a_change_counts_at_the_second_look_and_is_told_once(parts: Parts) -> None:
    told = Told(Disk=OK)
    watcher = Watcher(parts, told.checks())
    watcher.look()
    told.statuses["Disk"] = DOWN
    watcher.look()
    assert watcher.standing()[0].status is OK
    watcher.look()
    watcher.look()
    (standing,) = watcher.standing()
    assert (standing.status, standing.reason) == (DOWN, "bad")
    assert names(parts).count("component:changed") == 1
    with parts.read() as session:
        stored = components.states(session)["Disk"]
    assert (stored.status, stored.since) == (DOWN, standing.since)


def test_what_flickers_changes_nothing(parts: Parts) -> None:
    told = Told(Disk=OK)
    watcher = Watcher(parts, told.checks())
    for status in (OK, DOWN, OK, DOWN, OK):
        told.statuses["Disk"] = status
        watcher.look()
    assert watcher.standing()[0].status is OK
    assert names(parts) == []


def test_what_starts_beside_the_api_is_not_down_before_it_was_up(parts: Parts) -> None:
    told = Told(MLflow=DOWN, Disk=DOWN)
    watcher = Watcher(parts, told.checks())
    watcher.look()
    assert [one.component for one in watcher.standing()] == ["Disk"]
    told.statuses["MLflow"] = OK
    watcher.look()
    told.statuses["MLflow"] = DOWN
    for _ in range(2):
        watcher.look()
    assert {one.component: one.status for one in watcher.standing()}["MLflow"] is DOWN


def test_what_never_came_up_is_down_in_the_end(parts: Parts) -> None:
    watcher = Watcher(parts, Told(MLflow=DOWN).checks(), start_seconds=0)
    watcher.look()
    assert watcher.standing()[0].status is DOWN


def test_a_locked_store_is_seen_at_once_and_told_when_it_opens(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pipeline.api.watcher.PATIENCE_SECONDS", 0.1)
    told = Told(Database=OK)
    watcher = Watcher(parts, told.checks())
    watcher.look()
    with parts.begin():
        told.statuses["Database"] = DOWN
        for _ in range(2):
            watcher.look()
        seen = watcher.standing()[0]
        told.statuses["Database"] = OK
        for _ in range(2):
            watcher.look()
    wait_for(lambda: looked(watcher) and len(names(parts)) >= 4)
    with parts.read() as session:
        history = components.history(session, 5)["Database"]
        assert alerts.open_alerts(session) == []
    assert seen.status is DOWN
    assert [one.status for one in history] == [OK, DOWN, OK]
    assert history[1].at == seen.since, "when it was seen, not when it could be stored"
    assert names(parts).count("component:changed") == 2


def test_another_process_that_saw_the_api_down_is_answered(parts: Parts) -> None:
    watcher = Watcher(parts, Told(API=OK).checks())
    watcher.look()
    at = now()
    with parts.begin() as session:
        observe(session, [Observation(Seen("API", DOWN, "", "silent"), at)], "dagster", at)
    watcher.look()
    with parts.read() as session:
        standing = components.states(session)["API"]
        assert alerts.open_alerts(session) == []
    assert standing.status is OK
    assert standing.since > at


def test_it_looks_by_itself_and_ends(parts: Parts) -> None:
    parts.settings.health_seconds = 0.05
    watcher = Watcher(parts, Told(Disk=OK).checks())
    watcher.start()
    wait_for(lambda: bool(watcher.standing()))
    first = watcher.standing()[0].seen_at
    wait_for(lambda: watcher.standing()[0].seen_at > first)
    watcher.stop()
    assert "watcher" not in {thread.name for thread in threading.enumerate()}
