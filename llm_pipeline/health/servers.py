"""The other processes of an installation, asked over HTTP: API, MLflow, and Dagster's."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from http.client import HTTPException
from urllib.request import urlopen

from llm_pipeline import dagster_status
from llm_pipeline.config import Settings
from llm_pipeline.dagster_status import NEEDED_DAEMONS, Run, Sensor, Status, newest_of_jobs
from llm_pipeline.domain.health import API, Health, Seen
from llm_pipeline.health.looking import Check
from llm_pipeline.orchestrator import NO_ANSWER, why
from llm_pipeline.wiring import now

WEBSERVER, DAEMON, SENSORS, RUNS = "Dagster webserver", "Dagster daemon", "Sensors", "Runs"
MLFLOW = "MLflow"
# What `llm-pipeline up` starts beside the API, and what is only known through it.
COMPANIONS = (WEBSERVER, DAEMON, SENSORS, RUNS, MLFLOW, API)
SECONDS = 1.5
# Parts of the daemon tell that they are alive every 30 s, the scheduler when its minute is over:
# measured up to 84 s. Each sensor should look every few seconds.
HEARTBEAT_LATE, HEARTBEAT_LOST = timedelta(seconds=60), timedelta(seconds=75)
SCHEDULER_LATE = timedelta(seconds=150)
TICK_LATE = timedelta(seconds=60)
# A run starts within seconds; a queued one may wait for its turn, but not while nothing runs.
SLOW_START, SLOW_QUEUE = timedelta(minutes=5), timedelta(minutes=10)
LONG_RUN = timedelta(hours=6)


def checks(settings: Settings) -> list[Check]:
    """Return the looks at the other processes."""
    mlflow, dagster = f"{settings.mlflow_url}/health", settings.dagster_url
    return [
        Check(API, lambda: [api(settings)]),
        Check(MLFLOW, lambda: [answers(MLFLOW, mlflow)]),
        Check(WEBSERVER, lambda: dagster_seen(dagster)),
    ]


def api(settings: Settings, seconds: float = SECONDS) -> Seen:
    """Look at the API from outside."""
    return answers(API, f"{settings.api_url}/readyz", seconds)


def answers(name: str, url: str, seconds: float = SECONDS) -> Seen:
    """Look whether a server answers with success."""
    began = time.perf_counter()
    try:
        with urlopen(url, timeout=seconds) as answer:  # noqa: S310 (the address is a setting)
            answer.read()
    except (OSError, HTTPException) as error:
        return Seen(name, Health.DOWN, "", _silent(url, error))
    return Seen(name, Health.OK, f"answered in {(time.perf_counter() - began) * 1000:.0f} ms")


def _silent(url: str, error: Exception) -> str:
    return f"{url} does not answer: {why(error)}; `llm-pipeline up` starts everything"


def dagster_seen(address: str) -> Sequence[Seen]:
    """Look at Dagster; daemon, sensors and runs are not known while its webserver is silent."""
    began = time.perf_counter()
    try:
        told = dagster_status.status(address, SECONDS)
    except NO_ANSWER as error:
        return [Seen(WEBSERVER, Health.DOWN, "", _silent(f"{address}/graphql", error))]
    took = f"told all in {(time.perf_counter() - began) * 1000:.0f} ms"
    at = now()
    return [
        Seen(WEBSERVER, Health.OK, took),
        daemon(told, at),
        sensors(told.sensors, at),
        runs(told, at),
    ]


def daemon(told: Status, at: datetime) -> Seen:
    """Judge the daemon: gone when no part of it tells that it is alive, degraded when one does
    not."""
    missing = [name for name in NEEDED_DAEMONS if name not in told.heartbeats]
    if missing:
        return Seen(DAEMON, Health.DOWN, "", f"no heartbeat yet of {', '.join(missing)}")
    ages = {name: at - told.heartbeats[name] for name in NEEDED_DAEMONS}
    newest = min(ages.values())
    heard = f"last heartbeat {_seconds(newest)} ago"
    late = [f"{name.lower()} {_seconds(age)}" for name, age in ages.items() if age > _late(name)]
    if not late:
        return Seen(DAEMON, Health.OK, heard)
    status = Health.DOWN if newest > HEARTBEAT_LOST else Health.DEGRADED
    return Seen(DAEMON, status, heard, f"without a heartbeat: {', '.join(late)}; restart it")


def _late(name: str) -> timedelta:
    return SCHEDULER_LATE if name == "SCHEDULER" else HEARTBEAT_LATE


def sensors(found: Sequence[Sensor], at: datetime) -> Seen:
    """Judge the sensors by the one that has not looked for the longest time."""
    if not found:
        return Seen(SENSORS, Health.DOWN, "", "Dagster knows none: its code server does not answer")
    wrong = [f"{one.name} is switched off" for one in found if not one.runs]
    wrong += [f"{one.name} failed: {one.error[:200]}" for one in found if one.runs and one.error]
    lags = [(at - one.ticked_at, one.name) for one in found if one.runs and one.ticked_at]
    wrong += [f"{name} looked last {_seconds(lag)} ago" for lag, name in lags if lag > TICK_LATE]
    wrong += [f"{one.name} never looked" for one in found if one.runs and one.ticked_at is None]
    last = max(lags, default=None)
    told = f"{len(found)} sensors" + (
        f", the slowest looked {_seconds(last[0])} ago" if last else ""
    )
    return Seen(SENSORS, Health.DEGRADED if wrong else Health.OK, told, "; ".join(wrong))


def _seconds(lag: timedelta) -> str:
    return f"{max(0.0, lag.total_seconds()):.0f} s"


def runs(told: Status, at: datetime) -> Seen:
    """Judge the runs: the newest of each job must not have failed, and none may be stuck."""
    newest = newest_of_jobs(told.ended)
    wrong = [f"{one.job} failed last ({one.run_id[:8]})" for one in newest.values() if _failed(one)]
    busy = any(one.status == "STARTED" for one in told.under_way)
    wrong += [
        f"{one.job} is {one.status.lower()} for {_seconds(at - one.since)} ({one.run_id[:8]})"
        for one in told.under_way
        if at - one.since > _longest(one, busy=busy)
    ]
    told_of = f"{len(told.under_way)} under way, {len(newest)} jobs ended before"
    return Seen(RUNS, Health.DEGRADED if wrong else Health.OK, told_of, "; ".join(wrong))


def _failed(run: Run) -> bool:
    return run.status == "FAILURE"


def _longest(run: Run, *, busy: bool) -> timedelta:
    if run.status in ("STARTED", "CANCELING") or (run.status == "QUEUED" and busy):
        return LONG_RUN
    return SLOW_QUEUE if run.status == "QUEUED" else SLOW_START
