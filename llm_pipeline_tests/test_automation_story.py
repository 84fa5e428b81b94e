"""Automatic approval from the first audit to a rollback, through the API and Dagster, with the
offsets of all that happens: `pytest -s llm_pipeline_tests/test_automation_story.py` prints it.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from dagster import DagsterInstance, Definitions

from llm_pipeline.config import Settings
from llm_pipeline.definitions import build_definitions
from llm_pipeline.defs.resources import Pipeline
from llm_pipeline.domain.records import Status
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.store import log, mappings
from llm_pipeline.wiring import Parts, now
from llm_pipeline_tests.api.live_server import prepare, running, wait_for
from llm_pipeline_tests.automation_factories import MOST_FITS
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.defs.running import metadata, run
from llm_pipeline_tests.factories import ingest_rows, labelled, load_catalogue

AUDITS = "/api/automation/audits"
POLICY = "/api/automation/policy"
PLANS = "/api/llm-center/plans"
TOLD = (
    "policy:fitted",
    "mapping:auto_approved",
    "audit:drawn",
    "automation:stopped",
    "automation:resumed",
    "alert:raised",
    "alert:resolved",
    "learning:wanted",
    "plan:previewed",
    "plan:applied",
    "plan:undone",
    "model:trained",
    "model:promoted",
    "model:refused",
)
ROUNDS = 2
BATCH = 1_500


@dataclass
class World:
    """An installation: its parts, a client of its API, Dagster, and the truth about every text."""

    parts: Parts
    client: httpx.Client
    auditor: httpx.Client
    definitions: Definitions
    instance: DagsterInstance
    truth: dict[str, str]
    told_to: int = 0

    def job(self, name: str, asset: str) -> dict[str, object]:
        result = run(self.definitions, self.instance, name)
        assert result.success
        self.tell(f"Dagster: {name}")
        return metadata(result, asset)

    def tell(self, what: str) -> None:
        """Print the events since the last time, with their offsets."""
        print(f"\n== {what}")  # noqa: T201
        with self.parts.read() as session:
            new = log.read_since(session, self.told_to, 100_000, TOLD)
            self.told_to = log.latest(session)
        for event in new:
            said = {k: v for k, v in event.payload.items() if v not in (None, [], {}, "")}
            print(f"#{event.offset} {event.name} by {event.actor}: {str(said)[:300]}")  # noqa: T201

    def offset(self, name: str) -> int:
        with self.parts.read() as session:
            return log.read_since(session, 0, 100_000, [name])[-1].offset

    def answer_audits(self) -> tuple[int, int]:
        """People answer all open audits; return how many were of automatic approvals and wrong."""
        audited = wrong = 0
        while items := self.auditor.get(AUDITS, params={"limit": 1000}).json()["items"]:
            for one in items:
                body = {"target": self.truth[one["text"]]}
                done = self.auditor.post(f"{AUDITS}/{one['id']}", json=body)
                assert done.status_code == 200, done.text
                audited += done.json()["right"] is not None
                wrong += done.json()["right"] is False
        return audited, wrong


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> Iterator[World]:
    settings = Settings(home=tmp_path / "home", dagster_port=9)
    engine = prepare(settings)
    parts = Parts(settings)
    load_catalogue(parts.database, clock)
    ingest_rows(parts.database, clock, tmp_path, labelled(), approved=True)
    pipeline = Pipeline(home=str(settings.home))
    with (
        running(settings) as server,
        server.client() as client,
        server.client("reviewer") as auditor,
        DagsterInstance.ephemeral() as instance,
    ):
        definitions = build_definitions({"pipeline": pipeline})
        yield World(parts, client, auditor, definitions, instance, {})
    parts.engine.dispose()
    engine.dispose()


def _texts(number: int, first: int, dice: random.Random) -> list[tuple[str, str]]:
    """Texts that differ from approved ones by a code only, with what they mean."""
    known = labelled()
    return [
        (f"{text} {first + n}", target)
        for n, (text, target) in enumerate(dice.choices(known, k=number))
    ]


def _arrive(world: World, folder: Path, name: str, rows: list[tuple[str, str]]) -> int:
    world.truth |= dict(rows)
    sent = [(text, "") for text, _ in rows]
    upload = ingest_rows(world.parts.database, now, folder, sent, name=name)  # type: ignore[arg-type]
    return upload.id


def test_the_story(world: World, tmp_path: Path) -> None:
    dice = random.Random(3)  # noqa: S311 (the same texts each time)
    assert world.job("learning", "champion_model")["promoted"] is True
    _a_policy_is_proven(world, tmp_path, dice)
    upload = _a_source_turns_wrong(world, tmp_path, dice)
    _all_of_it_is_revoked_and_undone(world, upload)
    _a_challenger_is_refused(world)
    _a_model_is_rolled_back(world)


def _a_policy_is_proven(world: World, folder: Path, dice: random.Random) -> None:
    missing = world.client.get(POLICY).json()["missing_audits"]
    _arrive(world, folder, "first.csv", _texts(10_500, 0, dice))
    before = world.job("recognition", "automatic_approvals")
    audited, wrong = world.answer_audits()
    fits = 0
    while not world.client.get(POLICY).json()["on"] and fits < MOST_FITS:
        world.job("policy", "approval_policy")
        fits += 1
    after = world.job("approval", "automatic_approvals")
    standing = world.client.get(POLICY).json()
    print(f"{missing} audits were missing; {audited} answered, {wrong} wrong")  # noqa: T201
    print(standing["sentence"])  # noqa: T201
    assert missing == 149
    assert (before["approved"], before["held"]) == (0, "no policy was fitted yet")
    assert standing["on"]
    assert int(str(after["approved"])) > 10_000


def _a_source_turns_wrong(world: World, folder: Path, dice: random.Random) -> int:
    """One in five of its texts means something else; people audit, round by round."""
    upload = audited = 0
    for number in range(ROUNDS):
        rows = [
            (text, target if dice.random() > 0.2 else {"GS": "UBER"}.get(target, "GS"))
            for text, target in _texts(BATCH, 100_000 * (number + 1), dice)
        ]
        upload = _arrive(world, folder, f"wrong-{number}.csv", rows)
        shown = world.job("recognition", "automatic_approvals")
        of_round, wrong = world.answer_audits()
        audited += of_round
        world.tell(f"audit round {number + 1}: {of_round} answered, {wrong} wrong")
        if shown["held"] or not world.client.get(POLICY).json()["on"]:
            break
    standing = world.client.get(POLICY).json()
    (stop,) = standing["stops"]
    print(f"stopped at #{stop['offset']}: {stop['reason']}")  # noqa: T201
    assert stop["cause"] == "audits"
    assert standing["watch"]["audits"] <= 300
    assert audited <= 300 * ROUNDS
    (alert,) = [
        one
        for one in world.client.get("/api/llm/state").json()["alerts"]
        if one["rule"] == "automatic_approval_stopped"
    ]
    assert stop["reason"] in alert["message"]
    return upload


def _all_of_it_is_revoked_and_undone(world: World, upload: int) -> None:
    every = _auto_approved(world)
    of_upload = {one for one in every if every[one] == upload}
    policy = world.client.get(POLICY).json()["policy"]["version"]
    wanted = {"policy": policy, "upload": upload, "status": "auto_approved"}
    body = {"filter": wanted, "action": "reopen", "reason": "the source is wrong"}
    preview = world.client.post(PLANS, json=body).json()
    path = f"{PLANS}/{preview['id']}"
    world.client.post(f"{path}/apply", json={"hash": preview["hash"]})
    wait_for(lambda: world.client.get(path).json()["status"] == "applied")
    left = set(_auto_approved(world))
    world.tell(f"revoked: {preview['count']} of {len(every)} automatic approvals")
    world.client.post(f"{path}/undo")
    wait_for(lambda: world.client.get(path).json()["status"] == "undone")
    world.tell("and undone")
    assert of_upload
    assert preview["count"] == len(of_upload)
    assert left == set(every) - of_upload, "all of them and no other"
    assert _auto_approved(world) == every


def _auto_approved(world: World) -> dict[int, int | None]:
    found: dict[int, int | None] = {}
    cursor = None
    with world.parts.read() as session:
        while True:
            wanted = mappings.Filter(status=Status.AUTO_APPROVED)
            page = mappings.page(session, wanted, cursor, 1_000)
            found |= {one.id: one.upload_id for one in page.items}
            cursor = page.next_cursor
            if cursor is None:
                return found


def _a_challenger_is_refused(world: World) -> None:
    """What the audits taught may make a better model; the same once more does not."""
    world.job("learning", "champion_model")
    shown = world.job("learning", "champion_model")
    (newest, *_) = world.client.get("/api/ml/models").json()["items"]
    print(f"model {newest['version']} {newest['status']}: {newest['reason']}")  # noqa: T201
    assert shown["promoted"] is False
    assert newest["status"] == "refused"
    assert "McNemar p of a loss" in newest["reason"]


def _a_model_is_rolled_back(world: World) -> None:
    def answering() -> str:
        body = {"texts": ["UBER TRIP BOSTON CA"]}
        return str(world.client.post("/api/ml/recognize", json=body).json()["model_version"])

    before, (newest, *_) = answering(), world.client.get("/api/ml/models").json()["items"]
    trial = newest["version"]
    world.client.post(f"/api/ml/models/{trial}/promote", json={"reason": "a trial"})
    wait_for(lambda: answering() == trial)
    done: dict[str, Any] = world.client.post(
        "/api/ml/rollback", json={"reason": "the trial failed"}
    ).json()
    wait_for(lambda: answering() == before)
    world.tell("rolled back")
    assert (done["champion"]["version"], done["replaced"]) == (before, trial)
    assert world.parts.registry.champion() == before
    assert world.offset("model:promoted") > world.offset("plan:undone")


def test_the_texts_of_the_story_have_known_keys() -> None:
    known = {group_key(normalize(text)) for text, _ in labelled()}
    dice = random.Random(1)  # noqa: S311
    assert {group_key(normalize(text)) for text, _ in _texts(100, 7, dice)} <= known
