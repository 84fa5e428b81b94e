"""`llm-pipeline up` as its user starts it: real processes and ports, the loop closing by itself."""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from llm_pipeline_tests.api.live_server import free_port

START_SECONDS = 180
LEARN_SECONDS = 400
COMPONENTS = (
    "API",
    "API latency",
    "Background work",
    "Dagster daemon",
    "Dagster webserver",
    "Database",
    "Disk",
    "MLflow",
    "Memory",
    "Model",
    "Recogniser",
    "Runs",
    "Sensors",
    "Stream",
)
PORTS = ("API", "DAGSTER", "DAGSTER_CODE", "MLFLOW")


@dataclass(frozen=True)
class Running:
    """A started installation: its environment, its process, a client with an admin's token."""

    environment: dict[str, str]
    process: subprocess.Popen[str]
    client: httpx.Client
    home: Path

    def port(self, name: str) -> int:
        return int(self.environment[f"LLM_PIPELINE_{name}_PORT"])


def until(found: Callable[[], Any], seconds: float) -> Any:
    """Wait for something true; fail with what was found last."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)
    return result


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "llm_pipeline.cli", *words]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Everything up on free ports over sample data; ended by one Ctrl-C."""
    home = tmp_path_factory.mktemp("home")
    environment = {
        **os.environ,
        **{f"LLM_PIPELINE_{name}_PORT": str(free_port()) for name in PORTS},
        "LLM_PIPELINE_HOME": str(home),
        "LLM_PIPELINE_LEARN_AFTER": "100",
    }
    log = (home / "up.log").open("w")
    process = subprocess.Popen(
        command("up", "--sample"), env=environment, stdout=log, stderr=log, text=True
    )
    api = f"http://127.0.0.1:{environment['LLM_PIPELINE_API_PORT']}"
    until(lambda: answers(f"{api}/readyz"), START_SECONDS)
    token = subprocess.run(
        command("users", "token", "tests", "--role", "admin"),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"}) as client:
        yield Running(environment, process, client, home)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    log.close()


def approve(client: httpx.Client, text: str, target: str) -> None:
    sent = client.post("/api/llm-center/mappings", json={"text": text})
    assert sent.status_code == 201, sent.text
    mapping = sent.json()
    decided = client.post(
        f"/api/llm-center/mappings/{mapping['id']}/decision",
        json={"action": "correct", "target": target, "version": mapping["version"]},
    )
    assert decided.status_code == 200, decided.text


def recognized(client: httpx.Client, text: str) -> dict[str, Any]:
    answer = client.post("/api/ml/recognize", json={"texts": [text]}).json()
    return {**answer["results"][0], "model_version": answer["model_version"]}


def test_every_server_answers(running: Running) -> None:
    for name, path in (("DAGSTER", "/server_info"), ("MLFLOW", "/health")):
        url = f"http://127.0.0.1:{running.port(name)}{path}"
        until(partial(answers, url), START_SECONDS)


def test_a_taken_port_is_named_at_once(running: Running) -> None:
    second = subprocess.run(
        command("up"), env=running.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 9
    assert f"{running.port('API')} (api_port)" in second.stderr.replace("\n", " ")


def test_every_component_is_seen_and_well_in_the_end(running: Running) -> None:
    def sick() -> dict[str, str]:
        found = running.client.get("/api/ml/get-infrastructure-status").json()["components"]
        seen = {one["component"]: one["reason"] or one["status"] for one in found}
        missing = {name: "not seen" for name in COMPONENTS if name not in seen}
        return missing | {name: told for name, told in seen.items() if told != "ok"}

    until(lambda: not {name: told for name, told in sick().items() if name != "Memory"}, 120)


def test_dagster_tells_of_every_asset(running: Running) -> None:
    found = running.client.get("/api/llm-data/get-pipeline-health").json()
    assets = {one["name"]: one for one in found["assets"]}
    assert found["dagster"] == "answers"
    assert assets["training_set"]["needs"] == ["approved_mappings"]
    assert assets["insights"]["fresh_seconds"] == 4 * 3600
    (gate,) = assets["training_set"]["checks"]
    assert (gate["name"], gate["blocking"]) == ("gate_training_set", True)


def test_an_approved_text_is_known_within_a_second(running: Running) -> None:
    before = recognized(running.client, "ЯНДЕКС ТАКСИ МОСКВА")
    approve(running.client, "ЯНДЕКС ТАКСИ МОСКВА", "UBER")
    approved_at = time.monotonic()
    after = recognized(running.client, "яндекс такси москва")

    assert before["state"] == "no_match"
    assert after["target"] == "UBER"
    assert time.monotonic() - approved_at < 1


def test_enough_approvals_make_a_new_champion_without_a_restart(running: Running) -> None:
    with (running.home / "sample" / "submissions_truth.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] in ("new_company", "variant")]
    texts = {row["text"]: row["truth"] for row in rows if row["kind"] == "new_company"}
    texts |= {row["text"]: row["truth"] for row in rows[:200] if row["kind"] == "variant"}
    assert recognized(running.client, "x")["model_version"] == "1"

    for text, target in texts.items():
        waiting = running.client.get("/api/llm-center/mappings", params={"q": text}).json()
        if any(m["status"] == "pending" and m["text"] == text for m in waiting["items"]):
            approve(running.client, text, target)

    new = until(lambda: int(recognized(running.client, "x")["model_version"]) > 1, LEARN_SECONDS)
    assert new
    assert int(running.client.get("/api/llm/state").json()["ml"]["champion"]) > 1
    health = running.client.get("/api/llm-data/get-pipeline-health").json()
    trained = next(one for one in health["assets"] if one["name"] == "trained_model")
    assert trained["materialized_at"] is not None
    assert trained["run_id"] is not None


def test_a_person_asks_for_a_training_and_hears_what_came_of_it(running: Running) -> None:
    client = running.client
    idle = until(
        lambda: all(one["ended_at"] for one in client.get("/api/learning/wanted").json()),
        LEARN_SECONDS,
    )
    asked = client.post("/api/llm-center/trigger-learning", json={"reason": "a new month"})
    again = client.post("/api/llm-center/trigger-learning")

    def ended() -> Any:
        (wish, *_) = client.get("/api/learning/wanted").json()
        return wish if wish["outcome"] else None

    wish = until(ended, LEARN_SECONDS)
    assert idle
    assert asked.status_code == 202
    assert again.status_code == 409
    assert asked.json()["run_id"] == wish["run_id"]
    assert (wish["kind"], wish["reason"]) == ("person", "a new month")
    assert wish["outcome"] in ("promoted", "refused")
    print(f"wanted {wish['wanted_at']}, started {wish['started_at']}, ended {wish['ended_at']}")  # noqa: T201


def test_one_interrupt_ends_everything_and_frees_the_ports(running: Running) -> None:
    children = psutil.Process(running.process.pid).children(recursive=True)
    running.process.send_signal(signal.SIGINT)
    running.process.wait(timeout=60)

    gone, left = psutil.wait_procs(children, timeout=10)
    assert left == []
    assert len(gone) >= 5
    for name in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", running.port(name)))
