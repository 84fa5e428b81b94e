"""kill -9 at five points of an upload, of a plan and of its undo: nothing lost, nothing doubled.

    python benchmarks/crash.py --database sqlite --rows 100000 --home FOLDER --out FOLDER

Each time a process is killed after a share of the time that the whole took undisturbed, another one
goes on, and the store is compared with that of the undisturbed run, its counters with a recount.
"""

import argparse
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
from center.alone import alone
from center.deciding import PLANS, POLL_SECONDS
from center.descriptors import write
from center.loading import SEED, Run, ingested
from center.results import HEAD, Goal, Results
from center.serving import client, started
from center.standing import miscounted, standing
from center.stores import stores
from measuring import timed

from llm_pipeline.config import Settings

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
UNDISTURBED, KILLED = "undisturbed", "killed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default="upload,plan", help="of upload, plan")
    parser.add_argument("--home", type=Path, required=True, help="where the stores are kept")
    parser.add_argument("--out", type=Path, required=True, help="where the results are added")
    given = parser.parse_args()
    print(HEAD)
    with stores(given.home, given.database) as found:
        run = Run(found, given.rows, Results(given.out, given.database, given.rows))
        for part in given.only.split(","):
            {"upload": upload, "plan": plan}[part](run)


def upload(run: Run) -> None:
    """Kill the process that reads a file, and read it again from another one."""
    path = run.file(f"rows_{run.rows}.csv")
    write(path, run.rows, SEED)
    whole = alone(ingested, run.stores.fresh(UNDISTURBED), path)
    wanted = standing(run.stores.settings(UNDISTURBED))
    wrong: list[str] = []
    killed = 0
    for share in SHARES:
        settings = run.stores.fresh(KILLED)
        killed += _kill_ingest(settings, path, share * whole.seconds)
        alone(ingested, settings, path)
        wrong += _differences(settings, wanted)
    _report(run, "upload", wrong, killed)
    run.stores.drop(KILLED)


def plan(run: Run) -> None:
    """Kill the server in the middle of a plan, and of its undo; the next one goes on."""
    if not run.stores.settings(UNDISTURBED).path().exists():
        upload(run)
    for verb, status in (("apply", "applied"), ("undo", "undone")):
        with run.stores.copied(UNDISTURBED, "planned") as settings:
            seconds, _ = _planned(settings, verb, status)
            wanted = standing(settings)
        wrong: list[str] = []
        killed = 0
        for share in SHARES:
            with run.stores.copied(UNDISTURBED, "planned") as settings:
                killed += _planned(settings, verb, status, share * seconds)[1]
                wrong += _differences(settings, wanted)
        _report(run, f"{verb} of a plan", wrong, killed)


def _kill_ingest(settings: Settings, path: Path, after: float) -> bool:
    """Return whether the process was still at it when it was killed."""
    here, there = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_say_and_ingest, args=(settings, path, there))
    process.start()
    here.recv()
    process.join(after)
    killed = process.is_alive()
    process.kill()
    process.join()
    return killed


def _say_and_ingest(settings: Settings, path: Path, connection: Connection) -> None:
    connection.send("started")
    ingested(settings, path)


def _planned(
    settings: Settings, verb: str, status: str, kill_after: float | None = None
) -> tuple[float, bool]:
    """Approve all that waits by a plan, undo it if asked.

    Return the seconds of the last, and whether the server was killed before that was done.
    """
    with started(settings) as (address, process), client(address) as http:
        said = {"filter": {"status": "pending"}, "action": "approve", "target": "C0007"}
        made = http.post(PLANS, json=said).raise_for_status().json()
        if verb == "undo":
            _start(http, made, "apply")
            _wait(http, made["id"], "applied")
        _start(http, made, verb)
        if kill_after is None:
            return timed(lambda: _wait(http, made["id"], status))[1], False
        time.sleep(kill_after)
        killed = _status(http, made["id"]) != status
        process.kill()
    with started(settings) as (address, _process), client(address) as http:
        _wait(http, made["id"], status)
    return kill_after, killed


def _start(http: httpx.Client, made: dict[str, str], verb: str) -> None:
    http.post(f"{PLANS}/{made['id']}/{verb}", json={"hash": made["hash"]}).raise_for_status()


def _wait(http: httpx.Client, number: str, status: str) -> None:
    while _status(http, number) != status:
        time.sleep(POLL_SECONDS)


def _status(http: httpx.Client, number: str) -> str:
    return str(http.get(f"{PLANS}/{number}").raise_for_status().json()["status"])


def _differences(settings: Settings, wanted: dict[str, str]) -> list[str]:
    found = standing(settings)
    different = [name for name, digest in wanted.items() if found[name] != digest]
    return different + miscounted(settings)


def _report(run: Run, what: str, wrong: list[str], killed: int) -> None:
    run.results.add(
        f"kill -9 at five points: {what}",
        f"{killed} killed on the way, differences: {', '.join(sorted(set(wrong))) or 'none'}",
        "the same undisturbed",
        len(wrong),
        Goal("at most", 0),
    )


if __name__ == "__main__":
    main()
