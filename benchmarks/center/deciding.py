"""Decisions: a plan over many mappings beside its undo, and single ones while an upload runs."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from measuring import timed
from sqlalchemy import text

from center.alone import alone
from center.descriptors import write
from center.loading import SEED, Run, ingested, prepared
from center.results import Goal
from center.serving import MAPPINGS, client, percentile, serving, spread
from center.stores import opened
from llm_pipeline.config import Settings

PLANS = "/api/llm-center/plans"
UPLOADS = "/api/llm-center/uploads"
# With its duplicates and bad rows a file of so many makes 100,000 mappings.
PLANNED_ROWS = 120_000
POLL_SECONDS = 0.1
DECIDED = 300
EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Paced:
    """Milliseconds of decisions one after the other, and the speed of an upload."""

    decisions: list[float]
    rows_a_second: float


def plans(run: Run) -> None:
    """Approve everything of one upload by a plan, and take it back."""
    prepared(run)
    path = run.file("planned.csv")
    write(path, PLANNED_ROWS, SEED + 30)
    with run.stores.copied(run.name, "planned") as settings:
        upload = alone(ingested, settings, path).result
        before = _standing(settings)
        with serving(settings) as address, client(address) as http:
            plan, applied, undone = _there_and_back(http, upload.id)
        after = _standing(settings)
    lost = sum(abs(after.get(name, 0) - number) for name, number in before.items())
    number = plan["count"]
    run.results.add(
        "undo of a plan beside applying it, s",
        f"undo {undone:.2f} s of {number:,} mappings",
        f"apply {applied:.2f} s",
        undone / applied,
        Goal("at most", 1.5, " x"),
    )
    run.results.add("undo of a plan, s", f"{number:,}", "", undone, Goal("at most", 30, " s"))
    run.results.add("mappings not as before the plan", f"{lost}", "", lost, Goal("at most", 0))


def _there_and_back(http: httpx.Client, upload: int) -> tuple[dict[str, Any], float, float]:
    chosen = {"upload": upload, "status": "pending"}
    said = {"filter": chosen, "action": "approve", "target": "C0007"}
    plan = http.post(PLANS, json=said).raise_for_status().json()
    applied = timed(lambda: _until(http, plan, "apply", "applied"))[1]
    undone = timed(lambda: _until(http, plan, "undo", "undone"))[1]
    return plan, applied, undone


def _until(http: httpx.Client, plan: dict[str, Any], verb: str, status: str) -> None:
    """Start a plan and wait until it has come to a status."""
    place = f"{PLANS}/{plan['id']}"
    http.post(f"{place}/{verb}", json={"hash": plan["hash"]}).raise_for_status()
    while (now := http.get(place).raise_for_status().json())["status"] != status:
        if now["status"] == "failed":
            raise RuntimeError(f"plan {plan['id']} failed: {now}")
        time.sleep(POLL_SECONDS)


def _standing(settings: Settings) -> dict[str, int]:
    with opened(settings) as database, database.read() as session:
        rows = session.execute(
            text("SELECT status, count(*) AS number FROM mappings GROUP BY status")
        )
        return {row.status: int(row.number) for row in rows}


def decisions(run: Run) -> None:
    """One reviewer, ten decisions a second: alone, then while a large upload runs, both through the
    API."""
    prepared(run)
    paths = [run.file(f"beside_{number}.csv") for number in range(2)]
    for number, path in enumerate(paths):
        write(path, run.upload_rows, SEED + 40 + number)
    with (
        run.stores.copied(run.name, "decided") as settings,
        serving(settings) as address,
        client(address) as http,
        ThreadPoolExecutor() as other,
    ):
        first = _uploaded(address, paths[0])
        waiting = _waiting(http)
        quiet = [_decide(http, *next(waiting)) for _ in range(DECIDED)]
        upload = other.submit(_uploaded, address, paths[1])
        busy = _decide_until(http, waiting, upload)
        second = upload.result()
    _report(
        run,
        Paced(quiet, run.upload_rows / first),
        Paced(busy, run.upload_rows / second),
    )


def _uploaded(address: str, path: Path) -> float:
    """Send a file to the API and return the seconds until its last row was taken in."""
    with client(address) as http, path.open("rb") as file:
        began = time.perf_counter()
        sent = http.post(UPLOADS, files={"file": (path.name, file)}).raise_for_status().json()
        place = f"{UPLOADS}/{sent['id']}"
        while (now := http.get(place).raise_for_status().json())["status"] == "running":
            time.sleep(POLL_SECONDS)
    if now["status"] != "finished":
        raise RuntimeError(f"the upload ended as {now}")
    return time.perf_counter() - began


def _waiting(http: httpx.Client) -> Iterator[tuple[int, int]]:
    """Yield ids and versions of what waits, as far as the list goes."""
    cursor: str | None = ""
    while cursor is not None:
        params: dict[str, str | int] = {"status": "pending", "limit": 200}
        if cursor:
            params["cursor"] = cursor
        page = http.get(MAPPINGS, params=params).raise_for_status().json()
        yield from ((item["id"], item["version"]) for item in page["items"])
        cursor = page["next_cursor"]


def _decide_until(
    http: httpx.Client, waiting: Iterator[tuple[int, int]], upload: Future[float]
) -> list[float]:
    taken = []
    while not upload.done():
        taken.append(_decide(http, *next(waiting)))
    return taken


def _decide(http: httpx.Client, mapping: int, version: int) -> float:
    """Decide, keep to the pace, and return the milliseconds that the decision took."""
    said = {"action": "approve", "target": "C0007", "version": version}
    answer, seconds = timed(lambda: http.post(f"{MAPPINGS}/{mapping}/decision", json=said))
    # An upload may have added to this mapping since the list was read: that is an answer too.
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()
    time.sleep(max(0.0, EVERY_SECONDS - seconds))
    return seconds * 1000


def _report(run: Run, quiet: Paced, busy: Paced) -> None:
    run.results.add(
        f"a decision while {run.upload_rows:,} rows are uploaded, p95 ms",
        f"{spread(busy.decisions)} ({len(busy.decisions):,} decisions)",
        f"no upload {spread(quiet.decisions)}",
        percentile(busy.decisions, 95),
        Goal("at most", 50, " ms"),
    )
    run.results.add(
        "that upload beside one alone, rows/s",
        f"{busy.rows_a_second:,.0f}",
        f"alone {quiet.rows_a_second:,.0f}",
        busy.rows_a_second / quiet.rows_a_second,
        Goal("at least", 0.7, " x"),
    )
