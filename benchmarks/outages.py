"""Everything started for real, each part stopped in turn: what status, alert and stream said, after
how many seconds, and that it recovered.

    python benchmarks/outages.py --home FOLDER --out FOLDER

The store is locked by a second process that holds SQLite's right to write. A small disk is told by
raising the limit below which it counts as low: nobody's disk is filled.
"""

import argparse
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

PORTS = ("API", "DAGSTER", "DAGSTER_CODE", "MLFLOW")
STATUS, ALERTS, STREAM = (
    "/api/ml/get-infrastructure-status",
    "/api/llm-data/alerts",
    "/api/llm-data/stream-status",
)
HEAD = (
    "| stopped | component | status | after s | alert after s | stream after s | approval stopped "
    "after s | well again after s | slowest status answer ms |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)
WAIT_SECONDS = 180.0


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


class Installation:
    """`llm-pipeline up` in a folder, on free ports, with a client and a stream that is read."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {f"LLM_PIPELINE_{name}_PORT": str(_free_port()) for name in PORTS}
        self.environment = {**os.environ, **ports, "LLM_PIPELINE_HOME": str(home)}
        self.api = f"http://127.0.0.1:{ports['LLM_PIPELINE_API_PORT']}"
        self.heard: list[tuple[float, str]] = []

    @contextmanager
    def up(self, **settings: str) -> Iterator[httpx.Client]:
        """Start everything under Honcho's own hands, so that one process can be stopped alone."""
        self._prepare()
        environment = self.environment | settings
        processes = {
            name: self.start(name, environment)
            for name in ("code", "api", "dagster", "daemon", "mlflow")
        }
        self.processes = processes
        with httpx.Client(base_url=self.api, headers=self.headers, timeout=10) as client:
            _until(lambda: self._answers(client), WAIT_SECONDS)
            threading.Thread(target=self._listen, daemon=True).start()
            try:
                yield client
            finally:
                for one in processes.values():
                    _end(one)

    def _prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        made = [
            sys.executable,
            "-m",
            "llm_pipeline.cli",
            "users",
            "token",
            "bench",
            "--role",
            "admin",
        ]
        token = subprocess.run(
            made, env=self.environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        self.headers = {"Authorization": f"Bearer {token}"}
        subprocess.run([sys.executable, "-c", PREPARE], env=self.environment, check=True)

    def start(
        self, name: str, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one process with the command and environment that `up` gives it."""
        log = (self.home / f"{name}.log").open("ab")
        told = [sys.executable, "-c", ONE, name]
        return subprocess.Popen(
            told,
            env=environment or self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _answers(self, client: httpx.Client) -> bool:
        try:
            return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _listen(self) -> None:
        """Read the stream for ever, from where it broke off."""
        last = "0"
        while True:
            try:
                with httpx.stream(
                    "GET",
                    self.api + STREAM,
                    headers={**self.headers, "Last-Event-ID": last},
                    timeout=30,
                ) as answer:
                    for line in answer.iter_lines():
                        if line.startswith("id:"):
                            last = line.partition(":")[2].strip()
                        if line.startswith("data:"):
                            self.heard.append((time.monotonic(), line))
            except httpx.HTTPError:
                time.sleep(0.2)


PREPARE = """
from llm_pipeline.config import Settings
from llm_pipeline.up import prepare_dagster
prepare_dagster(Settings())
"""
ONE = """
import os, sys
from llm_pipeline.config import Settings
from llm_pipeline.processes import commands, environment
settings = Settings()
os.execve("/bin/sh", ["sh", "-c", commands(settings)[sys.argv[1]]], environment(settings))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for the run")
    parser.add_argument("--out", type=Path, required=True, help="where the table is written")
    given = parser.parse_args()
    installation = Installation(given.home)
    rows = []
    with installation.up() as client:
        _until(lambda: _all_well(client), WAIT_SECONDS)
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
    began = time.monotonic()
    _end(installation.processes[process])
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
    _end(installation.processes["api"])
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
    _until(lambda: installation._answers(client), WAIT_SECONDS)
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
        since = time.monotonic() - began
        mine = [
            one for one in client.get(ALERTS).json()["items"] if one["subject"] == row.component
        ]
        if mine:
            row.seen.setdefault("alert", since)
        if any(
            one["subject"] == row.component for one in client.get("/api/automation/stops").json()
        ):
            row.seen.setdefault("stop", since)
        marks = ('"component:changed"', f'"{row.component}"', f'"{row.status}"')
        for at, line in list(installation.heard):
            if at >= began and all(mark in line for mark in marks):
                row.seen.setdefault("stream", at - began)
        time.sleep(0.2)


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

    if _until(well, WAIT_SECONDS):
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


def _until(check: Callable[[], Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it started: none of them gets to say goodbye."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
