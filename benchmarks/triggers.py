"""A week of triggers on Dagster's own daemon, which is killed twice: none doubled, none lost.

    python benchmarks/triggers.py --out benchmarks/results/triggers.md

The processes of `llm-pipeline up` over sample data, on ports of their own. Each day brings three
reasons to learn: enough newly approved texts, enough answers called wrong, and a person who asks.
On the third and the fifth day the daemon is killed (-9) right after the reason came, and started
again ten seconds later. Told are the seconds from a reason to the start of its run, from a decision
to its answer, and how often each reason was answered by a run, as the API and Dagster have it.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from installation import Installation, end

from llm_pipeline import loop, processes
from llm_pipeline.config import Settings
from llm_pipeline.store import catalogue
from llm_pipeline.wiring import Parts

DAYS = 7
ENOUGH = 10
KILLED = {2: "decisions", 4: "person"}  # the day, counted from 0, and the reason it had just had
AWAY_SECONDS = 10
LONGEST = 240.0
LIVE_TRIALS = 30
WANTED = "/api/learning/wanted"
ENOUGH_OF = ("LLM_PIPELINE_LEARN_AFTER", "LLM_PIPELINE_LEARN_AFTER_FEEDBACK")


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason to learn, and the seconds until its run began and ended."""

    day: int
    kind: str
    started: float
    ended: float
    killed: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--out", type=Path, required=True, help="file to write the table to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="triggers-") as home:
        installation = Installation(Path(home))
        targets = _prepared(Settings(home=Path(home)))
        enough = {name: str(ENOUGH) for name in ENOUGH_OF}
        with installation.up(**enough) as client:
            address = f"http://127.0.0.1:{installation.environment['LLM_PIPELINE_DAGSTER_PORT']}"
            _until(lambda: processes.answers(f"{address}/server_info"))
            _until(lambda: not _open(client))
            told = _week(client, installation, targets, given.days, enough)
            live = [_live(client, number, targets) for number in range(LIVE_TRIALS)]
            wanted, runs = _wanted(client), _runs(address)
    table = _table(told, wanted, runs, live)
    given.out.write_text(table)
    print(table)


def _prepared(settings: Settings) -> list[str]:
    """Load the sample data and return some targets of its catalogue."""
    parts = Parts(settings)
    parts.migrate()
    loop.load_sample(parts, lambda told: print(told, flush=True))
    with parts.read() as session:
        targets = [one.key for one in catalogue.page(session, "", "", 20)]
    parts.engine.dispose()
    return targets


def _week(
    client: httpx.Client,
    installation: Installation,
    targets: list[str],
    days: int,
    enough: dict[str, str],
) -> list[Reason]:
    told = []
    for day in range(days):
        for kind, give in (("decisions", _decide), ("feedback", _complain), ("person", _ask)):
            before = {one["id"] for one in _wanted(client)}
            give(client, day, targets)
            began = time.monotonic()
            killed = KILLED.get(day) == kind
            if killed:
                end(installation.processes["daemon"])
                time.sleep(AWAY_SECONDS)
                again = installation.start("daemon", installation.environment | enough)
                installation.processes["daemon"] = again
            started = _until(lambda kind=kind, old=before: _since(client, kind, old, "started_at"))
            ended = _until(lambda kind=kind, old=before: _since(client, kind, old, "ended_at"))
            told.append(Reason(day, kind, started - began, ended - began, killed))
            print(told[-1], flush=True)
    return told


def _decide(client: httpx.Client, day: int, targets: list[str]) -> None:
    for number in range(ENOUGH):
        body = {"text": f"DAY {day} SHOP {_word(day * ENOUGH + number)}", "target": targets[number]}
        client.post("/api/ml/learn", json=body).raise_for_status()


def _complain(client: httpx.Client, day: int, targets: list[str]) -> None:
    items = [
        {"text": f"WRONG {day} {_word(number)}", "correct": False, "target": targets[number]}
        for number in range(ENOUGH)
    ]
    client.post("/api/learning/feedback-loop", json=items).raise_for_status()


def _ask(client: httpx.Client, day: int, _targets: list[str]) -> None:
    body = {"reason": f"day {day}"}
    client.post("/api/llm-center/trigger-learning", json=body).raise_for_status()


def _word(number: int) -> str:
    """A word of letters for each number: texts that differ by codes only are one text."""
    return "".join(chr(ord("A") + int(digit)) * 2 for digit in f"{number:03d}")


def _wanted(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(WANTED, params={"limit": 200}).json()
    return found


def _open(client: httpx.Client) -> bool:
    return any(one["ended_at"] is None for one in _wanted(client))


def _since(client: httpx.Client, kind: str, old: set[int], field: str) -> float:
    """Return the time now once a new wish of a kind has come so far, 0 before."""
    new = [one for one in _wanted(client) if one["id"] not in old and one["kind"] == kind]
    return time.monotonic() if new and all(one[field] for one in new) else 0.0


def _live(client: httpx.Client, number: int, targets: list[str]) -> float:
    """Return the seconds from sending a decision until recognition answers by it."""
    text, target = f"LIVE AT ONCE {_word(number)} PLACE", targets[number % len(targets)]
    began = time.monotonic()
    client.post("/api/ml/learn", json={"text": text, "target": target}).raise_for_status()
    while True:
        answer = client.post("/api/ml/recognize", json={"texts": [text]}).raise_for_status()
        if answer.json()["results"][0]["target"] == target:
            return time.monotonic() - began


def _runs(address: str) -> Counter[str]:
    """Return how many runs of the job `learning` Dagster has, by their status."""
    query = """{ runsOrError(filter: {pipelineName: "learning"}) {
        ... on Runs { results { runId status } } } }"""
    answer = httpx.post(f"{address}/graphql", json={"query": query}, timeout=60)
    results = answer.raise_for_status().json()["data"]["runsOrError"]["results"]
    return Counter(run["status"] for run in results)


def _table(
    told: list[Reason], wanted: list[dict[str, Any]], runs: Counter[str], live: list[float]
) -> str:
    reasons = Counter((one["kind"], one["version"]) for one in wanted)
    by_kind = Counter(one["kind"] for one in wanted)
    ended = [one for one in wanted if one["ended_at"] and one["run_id"]]
    answering = {one["run_id"] for one in ended}
    calm = [one.started for one in told if not one.killed]
    lines = [
        f"# {len({one.day for one in told})} days of triggers: {len(told)} reasons, the daemon "
        f"killed {sum(one.killed for one in told)} times",
        "",
        "| day | reason | run began after, s | ended after, s | |",
        "|---|---|---|---|---|",
        *(
            f"| {one.day + 1} | {one.kind} | {one.started:.1f} | {one.ended:.1f} | "
            f"{'daemon killed' if one.killed else ''} |"
            for one in told
        ),
        "",
        f"- Reason to run without a kill: median {median(calm):.1f} s, longest {max(calm):.1f} s.",
        f"- Wanted by the log: {dict(by_kind)}; a reason and data version asked for twice: "
        f"{sum(number > 1 for number in reasons.values())}; given {len(told)}.",
        f"- Answered by a run that ended: {len(ended)} of {len(wanted)}; runs that answered: "
        f"{len(answering)}; runs of the job in Dagster: {dict(runs)}.",
        f"- Decision to answer: median {median(live) * 1000:.0f} ms, longest "
        f"{max(live) * 1000:.0f} ms of {len(live)}.",
        "",
    ]
    return "\n".join(lines)


def _until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + LONGEST
    while not (result := found()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {LONGEST:.0f} s")
        time.sleep(0.1)
    return result


if __name__ == "__main__":
    main()
