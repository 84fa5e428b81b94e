"""Two reviewers and a script at the same queue over HTTP: no group decided twice, none lost.

    python benchmarks/hammer.py --database sqlite --seconds 60 --home FOLDER --out FOLDER

The reviewers lease groups in all orders, for minutes or for less than they need, and approve,
reject, skip and undo; the script leases nothing and decides what it finds in the list, group by
group and text by text. Afterwards every answer is compared with the store.
"""

import argparse
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from center.alone import alone
from center.descriptors import write
from center.loading import SEED, Run, ingested
from center.queue_log import Deeds, Held, done_though_held, held_by_two, wrong_in_store
from center.results import HEAD, Goal, Results
from center.serving import MAPPINGS, client, serving
from center.stores import PEOPLE, stores

QUEUE = "/api/llm-center/queue"
STORE = "hammered"
# Mostly in the same order, so that all want the same groups.
ORDERS = ("value", "value", "value", "uncertain", "oldest", "random")
THINKS_SECONDS = 0.1
# Long enough, and over before its decision comes.
MINUTES = (5.0, 0.0002)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--home", type=Path, required=True, help="where the stores are kept")
    parser.add_argument("--out", type=Path, required=True, help="where the results are added")
    given = parser.parse_args()
    print(HEAD)
    with stores(given.home, given.database) as found:
        hammer(
            Run(found, given.rows, Results(given.out, given.database, given.rows)), given.seconds
        )


def hammer(run: Run, seconds: float) -> None:
    path = run.file(f"rows_{run.rows}.csv")
    write(path, run.rows, SEED)
    settings = run.stores.fresh(STORE)
    alone(ingested, settings, path)
    everybody = [Deeds(who) for who in PEOPLE]
    turns = (reviewer_turn, reviewer_turn, script_turn)
    with serving(settings) as address, ThreadPoolExecutor(len(PEOPLE)) as pool:
        over = time.time() + seconds
        working = [
            pool.submit(work, address, deeds, turn, over)
            for deeds, turn in zip(everybody, turns, strict=True)
        ]
        for one in working:
            one.result()
    wrong = {
        "held by two": held_by_two(everybody),
        "decided though another held it": done_though_held(everybody),
        **wrong_in_store(settings, everybody),
    }
    done = sum(sum(deeds.decided.values()) for deeds in everybody)
    refused = sum(deeds.refused for deeds in everybody)
    for what, number in wrong.items():
        run.results.add(
            f"two reviewers and a script, {seconds:g} s: {what}",
            f"{number} ({done:,} decisions, {refused:,} refused)",
            "",
            number,
            Goal("at most", 0),
        )
    run.stores.drop(STORE)


Turn = Callable[[httpx.Client, Deeds, random.Random], None]


def work(address: str, deeds: Deeds, turn: Turn, over: float) -> None:
    """Take turns until the time is over."""
    dice = random.Random(deeds.who)  # noqa: S311
    with client(address, deeds.who) as http:
        while time.time() < over:
            turn(http, deeds, dice)


def reviewer_turn(http: httpx.Client, deeds: Deeds, dice: random.Random) -> None:
    """Lease some groups, decide most of them, give back the rest."""
    wish = {
        "order": dice.choice(ORDERS),
        "groups": dice.randint(1, 3),
        "minutes": dice.choice(MINUTES),
    }
    held = http.post(f"{QUEUE}/lease", json=wish).raise_for_status().json()["items"]
    since = time.time()
    for group in held:
        expires = datetime.fromisoformat(group["lease"]["expires_at"]).timestamp()
        deeds.leases.append((group["key"], since, expires))
    for group in held:
        time.sleep(dice.random() * THINKS_SECONDS)
        if dice.random() < 0.9:
            _decide_group(http, deeds, group, dice)
        else:
            deeds.ended[group["key"]].append(time.time())
            body = {"keys": [group["key"]]}
            http.post(f"{QUEUE}/release", json=body).raise_for_status()


def script_turn(http: httpx.Client, deeds: Deeds, dice: random.Random) -> None:
    """Decide what is in the list, whoever holds it."""
    listed: dict[str, str | int] = {"order": dice.choice(ORDERS), "limit": 3}
    groups = http.get(QUEUE, params=listed).raise_for_status().json()["items"]
    for group in groups:
        if dice.random() < 0.7:
            _decide_group(http, deeds, group, dice)
        else:
            _decide_text(http, deeds, group["texts"][0]["mapping_id"], dice)


def _decide_group(
    http: httpx.Client, deeds: Deeds, group: dict[str, Any], dice: random.Random
) -> None:
    action = dice.choices(("approve", "reject", "skip"), (6, 3, 1))[0]
    body: dict[str, Any] = {"action": action, "groups": [group["token"]]}
    if action == "approve":
        body["target"] = "C0007"
    # Whatever comes of it: from now on nobody may rely on this lease.
    since = time.time()
    deeds.ended[group["key"]].append(since)
    answer = http.post(f"{QUEUE}/decide", json=body)
    if not _counted(deeds, action, answer):
        return
    deeds.done.append(Held(group["key"], deeds.who, since, time.time()))
    if dice.random() < 0.1:
        undo = {"action": "undo", "decision": answer.json()["id"]}
        _counted(deeds, "undo", http.post(f"{QUEUE}/decide", json=undo))


def _counted(deeds: Deeds, action: str, answer: httpx.Response) -> bool:
    """Note what an answer says was decided; False for one that came too late."""
    if answer.status_code == httpx.codes.CONFLICT:
        deeds.refused += 1
        return False
    deeds.decided[action] += answer.raise_for_status().json()["mappings"]
    return True


def _decide_text(http: httpx.Client, deeds: Deeds, mapping: int, dice: random.Random) -> None:
    place = f"{MAPPINGS}/{mapping}"
    stored = http.get(place).raise_for_status().json()
    if stored["status"] != "pending":
        deeds.refused += 1
        return
    action = dice.choice(("approve", "reject"))
    body: dict[str, Any] = {"action": action, "version": stored["version"]}
    if action == "approve":
        body["target"] = "C0007"
    answer = http.post(f"{place}/decision", json=body)
    if answer.status_code == httpx.codes.CONFLICT:
        deeds.refused += 1
    else:
        answer.raise_for_status()
        deeds.decided[action] += 1


if __name__ == "__main__":
    main()
