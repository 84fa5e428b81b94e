"""Everything started for real, each part stopped in turn: what status, alert and stream said, after
how many seconds, and that it recovered.

    python benchmarks/outages.py --home FOLDER --out FOLDER

The store is locked by a second process that holds SQLite's right to write. A small disk is told by
raising the limit below which it counts as low: nobody's disk is filled.
"""

import argparse
import sqlite3
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
from installation import WAIT_SECONDS, Installation, end, until

STATUS, ALERTS = "/api/ml/get-infrastructure-status", "/api/llm-data/alerts"
HEAD = (
    "| stopped | component | status | after s | alert after s | stream after s | approval stopped "
    "after s | well again after s | slowest status answer ms |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass
class Row:
    """What was seen of one outage, in seconds since it began or since it was over."""

    what: str
    component: str
    status: str = ""
    seen: dict[str, float] = field(default_factory=dict)
    slowest_ms: float = 0.0

    def line(self) -> str:
        names = ("status", "alert", "stream", "stop", "well")
        told = [f"{self.seen[name]:.1f}" if name in self.seen else "not seen" for name in names]
        cells = [self.what, self.component, self.status, *told, f"{self.slowest_ms:.0f}"]
        return f"| {' | '.join(cells)} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for the run")
    parser.add_argument("--out", type=Path, required=True, help="where the table is written")
    given = parser.parse_args()
    installation = Installation(given.home)
    rows = []
    with installation.up() as client:
        until(lambda: _all_well(client), WAIT_SECONDS)
        for one in client.get(STATUS).json()["components"]:
            print(f"{one['component']}: {one['status']}, {one['reason'] or one['detail']}")
        for what, component, process in (
            ("MLflow", "MLflow", "mlflow"),
            ("Dagster webserver", "Dagster webserver", "dagster"),
            ("Dagster daemon", "Dagster daemon", "daemon"),
        ):
            rows.append(_stopped(installation, client, what, component, process))
        rows.append(_locked(installation, client))
        rows.append(_api_dead(installation, client))
    rows.append(_low_disk(installation))
    told = HEAD + "".join(row.line() for row in rows)
    print(told)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "outages.md").write_text(told)


def _stopped(
    installation: Installation, client: httpx.Client, what: str, component: str, process: str
) -> Row:
    row = Row(what, component)
    until(lambda: _all_well(client), WAIT_SECONDS)
    began = time.monotonic()
    end(installation.processes[process])
    _follow(installation, client, row, began)
    over = time.monotonic()
    installation.processes[process] = installation.start(process)
    _recovered(client, row, over)
    return row


def _locked(installation: Installation, client: httpx.Client) -> Row:
    row = Row("database locked", "Database")
    held = sqlite3.connect(installation.home / "store.db", isolation_level=None)
    began = time.monotonic()
    held.execute("BEGIN IMMEDIATE")
    while "status" not in row.seen and time.monotonic() - began < WAIT_SECONDS:
        _look(client, row, began)
    over = time.monotonic()
    held.execute("ROLLBACK")
    held.close()
    _recovered(client, row, over)
    # Nothing can be written meanwhile: what was seen is told when the store takes it.
    _told(installation, client, row, began)
    return row


def _api_dead(installation: Installation, client: httpx.Client) -> Row:
    """The API's own answers are gone: its sensor writes the store, which is read directly."""
    row = Row("API", "API")
    began = time.monotonic()
    end(installation.processes["api"])
    asked = {
        "status": "SELECT status FROM component_states WHERE component = 'API' AND status = 'down'",
        "alert": "SELECT id FROM alerts WHERE rule = 'component_down' AND subject = 'API' "
        "AND resolved_at IS NULL",
        "stop": "SELECT id FROM automation_stops WHERE subject = 'API' AND resumed_at IS NULL",
    }
    while len(row.seen) < len(asked) and time.monotonic() - began < WAIT_SECONDS:
        for name, query in asked.items():
            if name not in row.seen and _read(installation, query):
                row.seen[name] = time.monotonic() - began
        time.sleep(0.2)
    row.status = "down" if "status" in row.seen else ""
    over = time.monotonic()
    installation.processes["api"] = installation.start("api")
    until(lambda: installation.answers(client), WAIT_SECONDS)
    _recovered(client, row, over)
    _told(installation, client, row, began)
    return row


def _low_disk(installation: Installation) -> Row:
    """Started again with a limit above what is free; then as before."""
    row = Row("disk nearly full", "Disk")
    free_mb = psutil.disk_usage(str(installation.home)).free // 2**20
    began = time.monotonic()
    with installation.up(LLM_PIPELINE_LOW_DISK_MB=str(free_mb * 2)) as client:
        _follow(installation, client, row, began, stops=False)
    over = time.monotonic()
    with installation.up() as client:
        _recovered(client, row, over)
    return row


def _follow(
    installation: Installation, client: httpx.Client, row: Row, began: float, *, stops: bool = True
) -> None:
    while "status" not in row.seen and time.monotonic() - began < WAIT_SECONDS:
        _look(client, row, began)
    _told(installation, client, row, began, stops=stops)


def _look(client: httpx.Client, row: Row, began: float) -> None:
    found = _component(client, row)
    if found is not None and found["status"] != "ok":
        row.status, row.seen["status"] = found["status"], time.monotonic() - began
    time.sleep(0.2)


def _component(client: httpx.Client, row: Row) -> dict[str, Any] | None:
    asked = time.perf_counter()
    answer = client.get(STATUS)
    row.slowest_ms = max(row.slowest_ms, (time.perf_counter() - asked) * 1000)
    found = {one["component"]: one for one in answer.raise_for_status().json()["components"]}
    return found.get(row.component)


def _told(
    installation: Installation, client: httpx.Client, row: Row, began: float, *, stops: bool = True
) -> None:
    """Note when alert, event and stop came; those that were before keep their time."""
    deadline = time.monotonic() + 30
    wanted = {"alert", "stream"} | ({"stop"} if stops else set())
    while not wanted <= row.seen.keys() and time.monotonic() < deadline:
        alerts = client.get(ALERTS).json()["items"]
        stops = client.get("/api/automation/stops").json()
        for name, at, found in (("alert", "raised_at", alerts), ("stop", "stopped_at", stops)):
            for one in found:
                since = _since(began, one[at])
                if one["subject"] == row.component and since >= 0:
                    row.seen.setdefault(name, since)
        marks = ('"component:changed"', f'"{row.component}"', f'"{row.status}"')
        for at, line in list(installation.heard):
            if at >= began and all(mark in line for mark in marks):
                row.seen.setdefault("stream", at - began)
        time.sleep(0.2)


def _since(began: float, at: str) -> float:
    """Return the seconds from a monotonic time to one of the calendar."""
    ago = time.time() - datetime.fromisoformat(at).timestamp()
    return time.monotonic() - ago - began


def _recovered(client: httpx.Client, row: Row, over: float) -> None:
    """Wait until the component is well, its alert is resolved and nothing stops for it."""

    def well() -> bool:
        found = _component(client, row)
        alerts = client.get(ALERTS).json()["items"]
        stops = client.get("/api/automation/stops").json()
        of_it = [one for one in alerts if one["subject"] == row.component]
        return (
            found is not None
            and found["status"] == "ok"
            and all(one["resolved_at"] for one in of_it)
            and all(one["resumed_at"] for one in stops if one["subject"] == row.component)
        )

    if until(well, WAIT_SECONDS):
        row.seen["well"] = time.monotonic() - over


def _all_well(client: httpx.Client) -> bool:
    found = client.get(STATUS).json()["components"]
    names = {one["component"] for one in found if one["status"] == "ok"}
    return {"MLflow", "Dagster webserver", "Dagster daemon", "Database", "API"} <= names


def _read(installation: Installation, query: str) -> Any:
    store = sqlite3.connect(f"file:{installation.home / 'store.db'}?mode=ro", uri=True)
    try:
        return store.execute(query).fetchone()
    finally:
        store.close()


if __name__ == "__main__":
    main()
