"""Everything started for real, each part stopped in turn: what status, alert, stream and dashboard
said, after how many seconds, and that they recovered.

    python benchmarks/outages.py --home FOLDER --out FOLDER

The store is locked by a second process that holds SQLite's right to write. A small disk is told by
raising the limit below which it counts as low: nobody's disk is filled.
"""

import argparse
import sqlite3
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import psutil
from installation import WAIT_SECONDS, Installation, end, until
from screen import Screen, sign_in

from llm_pipeline.config import Settings

STATUS, ALERTS = "/api/ml/get-infrastructure-status", "/api/llm-data/alerts"
TOLD = ("status", "alert", "stream", "stop", "page", "well", "page well")
HEAD = (
    "| stopped | component | status | after s | alert after s | stream after s | approval stopped "
    "after s | page after s | it said | well again after s | page well after s "
    "| slowest status answer ms |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass
class Row:
    """What was seen of one outage, in seconds since it began or since it was over."""

    what: str
    component: str
    status: str = ""
    seen: dict[str, float] = field(default_factory=dict)
    said: str = ""
    slowest_ms: float = 0.0

    def line(self) -> str:
        times = {name: f"{seconds:.1f}" for name, seconds in self.seen.items()}
        found = [times.get(name, "not seen") for name in TOLD]
        cells = [self.what, self.component, self.status, *found[:-2], self.said, *found[-2:]]
        return f"| {' | '.join([*cells, f'{self.slowest_ms:.0f}'])} |\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="an empty folder for the run")
    parser.add_argument("--out", type=Path, required=True, help="where the table is written")
    parser.add_argument("--browser", default=which("chromium"), help="path of Chromium")
    given = parser.parse_args()
    installation = Installation(given.home)
    screen = Screen(installation.api, given.browser)
    rows = []
    with ExitStack() as stack:
        with installation.up() as client:
            sign_in(Settings(home=given.home))
            stack.enter_context(screen.open())
            scene = Scene(installation, client, screen)
            until(lambda: _all_well(client), WAIT_SECONDS)
            for one in client.get(STATUS).json()["components"]:
                print(f"{one['component']}: {one['status']}, {one['reason'] or one['detail']}")
            for component, process in (
                ("MLflow", "mlflow"),
                ("Dagster webserver", "dagster"),
                ("Dagster daemon", "daemon"),
            ):
                rows.append(_stopped(scene, component, process))
            rows.append(_locked(scene))
            rows.append(_api_dead(scene))
        rows.append(_low_disk(installation, screen))
    told = HEAD + "".join(row.line() for row in rows)
    print(told)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "outages.md").write_text(told)


@dataclass(frozen=True)
class Scene:
    """An installation that is up, somebody who asks it, and somebody who has its page open."""

    installation: Installation
    client: httpx.Client
    screen: Screen


def _stopped(scene: Scene, component: str, process: str) -> Row:
    row = Row(component, component)
    until(lambda: _all_well(scene.client), WAIT_SECONDS)
    began = time.monotonic()
    end(scene.installation.processes[process])
    _follow(scene, row, began)
    over = time.monotonic()
    scene.installation.processes[process] = scene.installation.start(process)
    _recovered(scene, row, over)
    return row


def _locked(scene: Scene) -> Row:
    row = Row("database locked", "Database")
    held = sqlite3.connect(scene.installation.home / "store.db", isolation_level=None)
    began = time.monotonic()
    held.execute("BEGIN IMMEDIATE")
    while "status" not in row.seen and time.monotonic() - began < WAIT_SECONDS:
        _look(scene.client, row, began)
    until(lambda: _page_said(scene.screen, row, began), WAIT_SECONDS)
    over = time.monotonic()
    held.execute("ROLLBACK")
    held.close()
    _recovered(scene, row, over)
    # Nothing can be written meanwhile: what was seen is told when the store takes it.
    _told(scene, row, began)
    return row


def _api_dead(scene: Scene) -> Row:
    """The API's own answers are gone: its sensor writes the store, which is read directly."""
    row = Row("API", "API")
    began = time.monotonic()
    end(scene.installation.processes["api"])
    asked = {
        "status": "SELECT status FROM component_states WHERE component = 'API' AND status = 'down'",
        "alert": "SELECT id FROM alerts WHERE rule = 'component_down' AND subject = 'API' "
        "AND resolved_at IS NULL",
        "stop": "SELECT id FROM automation_stops WHERE subject = 'API' AND resumed_at IS NULL",
    }
    while len(row.seen) < len(asked) and time.monotonic() - began < WAIT_SECONDS:
        for name, query in asked.items():
            if name not in row.seen and _read(scene.installation, query):
                row.seen[name] = time.monotonic() - began
        time.sleep(0.2)
    row.status = "down" if "status" in row.seen else ""
    until(lambda: _page_lost(scene.screen, row, began), WAIT_SECONDS)
    over = time.monotonic()
    scene.installation.processes["api"] = scene.installation.start("api")
    until(lambda: scene.installation.answers(scene.client), WAIT_SECONDS)
    _recovered(scene, row, over)
    _told(scene, row, began)
    return row


def _low_disk(installation: Installation, screen: Screen) -> Row:
    """Started again with a limit above what is free; then as before."""
    row = Row("disk nearly full", "Disk")
    free_mb = psutil.disk_usage(str(installation.home)).free // 2**20
    began = time.monotonic()
    with installation.up(LLM_PIPELINE_LOW_DISK_MB=str(free_mb * 2)) as client:
        _follow(Scene(installation, client, screen), row, began, stops=False)
    over = time.monotonic()
    with installation.up() as client:
        _recovered(Scene(installation, client, screen), row, over)
    return row


def _follow(scene: Scene, row: Row, began: float, *, stops: bool = True) -> None:
    while "status" not in row.seen and time.monotonic() - began < WAIT_SECONDS:
        _look(scene.client, row, began)
    _told(scene, row, began, stops=stops)
    until(lambda: _page_said(scene.screen, row, began), WAIT_SECONDS)


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


def _told(scene: Scene, row: Row, began: float, *, stops: bool = True) -> None:
    """Note when alert, event and stop came; those that were before keep their time."""
    deadline = time.monotonic() + 30
    wanted = {"alert", "stream"} | ({"stop"} if stops else set())
    while not wanted <= row.seen.keys() and time.monotonic() < deadline:
        alerts = scene.client.get(ALERTS).json()["items"]
        stopped = scene.client.get("/api/automation/stops").json()
        for name, at, found in (("alert", "raised_at", alerts), ("stop", "stopped_at", stopped)):
            for one in found:
                since = _since(began, one[at])
                if one["subject"] == row.component and since >= 0:
                    row.seen.setdefault(name, since)
        marks = ('"component:changed"', f'"{row.component}"', f'"{row.status}"')
        for heard_at, line in list(scene.installation.heard):
            if heard_at >= began and all(mark in line for mark in marks):
                row.seen.setdefault("stream", heard_at - began)
        time.sleep(0.2)


def _page_said(screen: Screen, row: Row, began: float) -> bool:
    """Note when the open page first told of it, and how."""
    for said in list(screen.said):
        told = said.components.get(row.component, "")
        if said.at >= began and f" {row.status}: " in told:
            row.seen["page"], row.said = said.at - began, told
            return True
    return False


def _page_lost(screen: Screen, row: Row, began: float) -> bool:
    """The same of what lies over the page while nobody answers it."""
    for said in list(screen.said):
        if said.at >= began and said.lost:
            row.seen["page"], row.said = said.at - began, said.lost
            return True
    return False


def _page_well(screen: Screen, row: Row, over: float) -> bool:
    now = screen.said[-1]
    well = not now.lost and " ok: " in now.components.get(row.component, "")
    if well:
        row.seen["page well"] = max(0.0, now.at - over)
    return well


def _since(began: float, at: str) -> float:
    """Return the seconds from a monotonic time to one of the calendar."""
    ago = time.time() - datetime.fromisoformat(at).timestamp()
    return time.monotonic() - ago - began


def _recovered(scene: Scene, row: Row, over: float) -> None:
    """Wait until the component is well, its alert is resolved and nothing stops for it, and until
    the page says so."""

    def well() -> bool:
        found = _component(scene.client, row)
        alerts = scene.client.get(ALERTS).json()["items"]
        stops = scene.client.get("/api/automation/stops").json()
        of_it = [one for one in alerts if one["subject"] == row.component]
        return (
            found is not None
            and found["status"] == "ok"
            and all(one["resolved_at"] for one in of_it)
            and all(one["resumed_at"] for one in stops if one["subject"] == row.component)
        )

    if until(well, WAIT_SECONDS):
        row.seen["well"] = time.monotonic() - over
    until(lambda: _page_well(scene.screen, row, over), WAIT_SECONDS)


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
