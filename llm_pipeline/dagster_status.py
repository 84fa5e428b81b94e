"""How Dagster is, by its own account over HTTP: daemon, sensors, runs, and every asset."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_pipeline.orchestrator import ask

# The daemon's parts without which nothing starts by itself.
NEEDED_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
_RUNS = 50

_STATUS = """query($runs: Int!) {
  instance { daemonHealth { allDaemonStatuses { daemonType lastHeartbeatTime } } }
  repositoriesOrError { ... on RepositoryConnection { nodes { sensors {
    name sensorState { status ticks(limit: 1) { timestamp status error { message } } } } } } }
  under_way: runsOrError(limit: $runs, filter: {
    statuses: [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) { ...told }
  ended: runsOrError(limit: $runs, filter: {statuses: [SUCCESS, FAILURE]}) { ...told } }
fragment told on RunsOrError { ... on Runs { results {
  runId jobName status creationTime startTime } } }"""

_ASSETS = """query($runs: Int!) {
  ended: runsOrError(limit: $runs, filter: {statuses: [SUCCESS, FAILURE]}) {
    ... on Runs { results { runId jobName status creationTime startTime } } }
  assetNodes { jobNames assetKey { path } groupName dependencyKeys { path }
  internalFreshnessPolicy {
    ... on TimeWindowFreshnessPolicy { failWindowSeconds warnWindowSeconds } }
  freshnessStatusInfo { freshnessStatus }
  assetMaterializations(limit: 1) { timestamp runId }
  assetChecksOrError { ... on AssetChecks { checks { name blocking
    executionForLatestMaterialization { status timestamp runId
      evaluation { success severity description metadataEntries {
        label ... on TextMetadataEntry { text } } } } } } } } }"""


@dataclass(frozen=True, slots=True)
class Sensor:
    """A sensor: whether it runs, and its last look."""

    name: str
    runs: bool
    ticked_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a job; `since` is when it began, or came into the queue."""

    run_id: str
    job: str
    status: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """How Dagster is; `heartbeats` are the daemon's parts and when each was last alive."""

    heartbeats: dict[str, datetime]
    sensors: list[Sensor]
    under_way: list[Run]
    ended: list[Run]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check of the newest materialisation came to; `ran_at` is none if it did not run."""

    name: str
    blocking: bool
    success: bool | None
    severity: str
    ran_at: datetime | None
    run_id: str | None
    told: str


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset: when it was made last, how fresh Dagster finds it, and what its checks came to."""

    name: str
    group: str
    needs: list[str]
    materialized_at: datetime | None
    run_id: str | None
    failed_run: str | None  # the newest of a job that makes it, if that failed since
    freshness: str | None  # HEALTHY, WARNING, DEGRADED, UNKNOWN; none without a policy
    fresh_seconds: int | None
    checks: list[CheckResult]


def status(address: str, seconds: float) -> Status:
    """Ask how Dagster is; raises one of `orchestrator.NO_ANSWER`."""
    told = ask(address, _STATUS, {"runs": _RUNS}, seconds)
    daemons = told["instance"]["daemonHealth"]["allDaemonStatuses"]
    return Status(
        {one["daemonType"]: _time(one["lastHeartbeatTime"] or 0.0) for one in daemons},
        list(_sensors(told["repositoriesOrError"].get("nodes", ()))),
        [_run(one) for one in told["under_way"].get("results", ())],
        [_run(one) for one in told["ended"].get("results", ())],
    )


def assets(address: str, seconds: float) -> list[Asset]:
    """Ask how every asset is; raises one of `orchestrator.NO_ANSWER`."""
    told = ask(address, _ASSETS, {"runs": _RUNS}, seconds)
    newest = newest_of_jobs(_run(one) for one in told["ended"].get("results", ()))
    return [_asset(one, newest) for one in told["assetNodes"]]


def newest_of_jobs(runs: Iterable[Run]) -> dict[str, Run]:
    """Return the newest run of each job; `runs` come newest first."""
    newest: dict[str, Run] = {}
    for one in runs:
        newest.setdefault(one.job, one)
    return newest


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _sensors(repositories: Any) -> Iterator[Sensor]:
    for repository in repositories:
        for one in repository["sensors"]:
            state = one["sensorState"]
            tick: dict[str, Any] = next(iter(state["ticks"]), {})
            error = (tick.get("error") or {}).get("message", "")
            at = _time(tick["timestamp"]) if tick else None
            yield Sensor(one["name"], state["status"] == "RUNNING", at, error)


def _run(told: dict[str, Any]) -> Run:
    since = told["startTime"] or told["creationTime"]
    return Run(told["runId"], told["jobName"], told["status"], _time(since))


def _asset(told: dict[str, Any], newest: Mapping[str, Run]) -> Asset:
    made = next(iter(told["assetMaterializations"]), None)
    at = None if made is None else _time(float(made["timestamp"]) / 1000)
    freshness, policy = told["freshnessStatusInfo"], told["internalFreshnessPolicy"] or {}
    runs = [newest[job] for job in told["jobNames"] if job in newest]
    failed = [one for one in runs if one.status == "FAILURE" and (at is None or one.since > at)]
    return Asset(
        _name(told["assetKey"]),
        told["groupName"],
        sorted(_name(key) for key in told["dependencyKeys"]),
        at,
        None if made is None else made["runId"],
        failed[0].run_id if failed else None,
        None if freshness is None else freshness["freshnessStatus"],
        policy.get("failWindowSeconds"),
        [_check(one) for one in told["assetChecksOrError"].get("checks", ())],
    )


def _name(key: dict[str, list[str]]) -> str:
    return "/".join(key["path"])


def _check(told: dict[str, Any]) -> CheckResult:
    ran = told["executionForLatestMaterialization"] or {}
    found = ran.get("evaluation") or {}
    texts = [entry["text"] for entry in found.get("metadataEntries", ()) if "text" in entry]
    return CheckResult(
        told["name"],
        told["blocking"],
        found.get("success"),
        found.get("severity") or "",
        _time(ran["timestamp"]) if ran else None,
        ran.get("runId"),
        found.get("description") or "; ".join(texts),
    )
