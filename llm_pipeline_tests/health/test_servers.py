"""Other processes as they are judged: servers that are silent, and what Dagster tells of itself."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from llm_pipeline.dagster_status import NEEDED_DAEMONS, Run, Sensor, Status
from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.health import servers
from llm_pipeline_tests.health.silent import silent_server

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return AT - timedelta(seconds=seconds)


def told(**given: object) -> Status:
    alive = dict.fromkeys(NEEDED_DAEMONS, AT)
    values = {"heartbeats": alive, "sensors": [], "under_way": [], "ended": [], **given}
    return Status(**values)  # type: ignore[arg-type]


def test_nobody_there_and_nothing_said_are_both_down_soon() -> None:
    with silent_server() as port:
        began = time.monotonic()
        silent = servers.answers("MLflow", f"http://127.0.0.1:{port}/health", seconds=0.2)
        (dagster,) = servers.dagster_seen(f"http://127.0.0.1:{port}")
        took = time.monotonic() - began
    gone = servers.answers("MLflow", f"http://127.0.0.1:{port}/health", seconds=0.2)
    assert {silent.status, dagster.status, gone.status} == {Health.DOWN}
    assert dagster.component == "Dagster webserver", "nothing is said of what was not asked"
    assert "timed out" in silent.reason
    assert "refused" in gone.reason
    assert took < 3


@pytest.mark.parametrize(
    ("sensor", "scheduler", "queue", "status"),
    [
        (30, 84, 30, Health.OK),  # the scheduler tells once its minute is over
        (61, 84, 5, Health.DEGRADED),
        (5, 151, 5, Health.DEGRADED),
        (70, 70, 70, Health.DEGRADED),
        (80, 100, 76, Health.DOWN),
    ],
)
def test_a_daemon_is_gone_when_no_part_of_it_is_heard(
    sensor: int, scheduler: int, queue: int, status: Health
) -> None:
    ages = {"SENSOR": sensor, "SCHEDULER": scheduler, "QUEUED_RUN_COORDINATOR": queue}
    found = servers.daemon(told(heartbeats={name: ago(age) for name, age in ages.items()}), AT)
    assert found.status is status
    assert found.detail == f"last heartbeat {min(ages.values())} s ago"


def test_a_daemon_that_never_lived_is_down() -> None:
    assert servers.daemon(told(heartbeats={}), AT).status is Health.DOWN


@pytest.mark.parametrize(
    ("sensor", "reason"),
    [
        (Sensor("a", True, ago(5), ""), ""),
        (Sensor("a", True, ago(90), ""), "a looked last 90 s ago"),
        (Sensor("a", True, None, ""), "a never looked"),
        (Sensor("a", False, ago(90), ""), "a is switched off"),
        (Sensor("a", True, ago(5), "no such table"), "a failed: no such table"),
    ],
)
def test_sensors_are_judged_one_by_one(sensor: Sensor, reason: str) -> None:
    found = servers.sensors([Sensor("b", True, ago(1), ""), sensor], AT)
    assert found.reason == reason
    assert found.status is (Health.DEGRADED if reason else Health.OK)


def test_no_sensors_at_all_are_down() -> None:
    assert servers.sensors([], AT).status is Health.DOWN


@pytest.mark.parametrize(
    ("status", "seconds", "busy", "stuck"),
    [
        ("STARTED", 3600, False, False),
        ("STARTED", 7 * 3600, False, True),
        ("STARTING", 400, False, True),
        ("QUEUED", 400, False, False),
        ("QUEUED", 700, False, True),
        ("QUEUED", 700, True, False),
    ],
)
def test_a_run_is_stuck_by_what_it_waits_for(
    status: str, seconds: int, busy: bool, stuck: bool
) -> None:
    runs = [Run("0123456789", "learning", status, ago(seconds))]
    runs += [Run("1", "reports", "STARTED", ago(1))] if busy else []
    found = servers.runs(told(under_way=runs), AT)
    assert (found.status is Health.DEGRADED) == stuck


def test_a_job_is_well_again_when_its_newest_run_succeeds() -> None:
    failed, succeeded = (Run("0123456789", "learning", s, AT) for s in ("FAILURE", "SUCCESS"))
    assert servers.runs(told(ended=[failed, succeeded]), AT) == Seen(
        "Runs",
        Health.DEGRADED,
        "0 under way, 1 jobs ended before",
        "learning failed last (01234567)",
    )
    assert servers.runs(told(ended=[succeeded, failed]), AT).status is Health.OK
