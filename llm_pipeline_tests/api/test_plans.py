"""Plans over HTTP: previewed by a reviewer, carried out in the background, taken back."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from llm_pipeline.api import plan_worker
from llm_pipeline.api.plan_worker import PlanWorker
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Action
from llm_pipeline.steps import apply_plan
from llm_pipeline.steps.plan import Request, plan
from llm_pipeline.store import plans
from llm_pipeline.store.engine import Database, Engine
from llm_pipeline.store.mappings import Filter
from llm_pipeline.wiring import Parts, now
from llm_pipeline_tests.api.live_server import Running, running, wait_for

MAPPINGS = "/api/llm-center/mappings"
PLANS = "/api/llm-center/plans"


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_plan, "CHUNK", 2)


def submit(client: httpx.Client, *texts: str, target: str = "BLUE") -> None:
    for one in texts:
        assert client.post(MAPPINGS, json={"text": one, "target": target}).status_code == 201


def preview(client: httpx.Client, **body: Any) -> dict[str, Any]:
    if not {"ids", "filter"} & set(body):
        body["filter"] = {}
    answer = client.post(PLANS, json={"action": "approve", **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wait(client: httpx.Client, plan_id: int, status: str) -> dict[str, Any]:
    wait_for(lambda: client.get(f"{PLANS}/{plan_id}").json()["status"] == status)
    found: dict[str, Any] = client.get(f"{PLANS}/{plan_id}").json()
    return found


def apply(client: httpx.Client, found: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"{PLANS}/{found['id']}/apply", json={"hash": found["hash"]})
    assert answer.status_code == 202, answer.text
    return wait(client, found["id"], "applied")


def statuses(client: httpx.Client) -> list[str]:
    return [one["status"] for one in client.get(MAPPINGS).json()["items"]][::-1]


def test_a_plan_is_previewed_applied_and_undone(client: httpx.Client) -> None:
    submit(client, "blue one", "blue two", "blue three")
    submit(client, "other", target="AMZN")
    found = preview(client, filter={"q": "blue"}, reason="all the same shop")
    assert (found["status"], found["count"], found["progress"]) == ("previewed", 3, 0)
    assert found["wanted"] == {"q": "blue"}
    assert len(found["hash"]) == 64
    assert [one["text"] for one in found["sample"]] == ["blue one", "blue two", "blue three"]
    assert found["sample"][0]["new_target"] == "BLUE"
    assert found["consequences"]["targets"] == [{"target": "BLUE", "gains": 3, "loses": 0}]
    assert found["applied"] is None
    done = apply(client, found)
    assert (done["applied"]["changed"], done["applied"]["left"]) == (3, 0)
    assert done["applied"]["seconds"] >= 0
    assert statuses(client) == [*["approved"] * 3, "pending"]
    decided = client.get(f"{MAPPINGS}/1").json()["decisions"][0]
    assert (decided["actor"], decided["reason"]) == ("admin", "all the same shop")
    assert client.post(f"{PLANS}/{found['id']}/undo").status_code == 202
    undone = wait(client, found["id"], "undone")["undone"]
    assert (undone["changed"], undone["left"], undone["by"]) == (3, 0, "admin")
    assert statuses(client) == ["pending"] * 4


def test_an_applied_plan_counts_in_recognition(client: httpx.Client) -> None:
    submit(client, "zzz yyy xxx", target="AMZN")

    def answer() -> str | None:
        found = client.post("/api/ml/recognize", json={"texts": ["zzz yyy xxx"]}).json()
        target: str | None = found["results"][0]["target"]
        return target

    found = apply(client, preview(client))
    wait_for(lambda: answer() == "AMZN")
    client.post(f"{PLANS}/{found['id']}/undo")
    wait_for(lambda: answer() is None)


def test_what_was_left_alone_is_listed(client: httpx.Client) -> None:
    submit(client, "one", "two", "three")
    found = preview(client, ids=[1, 2, 3])
    for mapping in (1, 3):
        said = {
            "action": "reject",
            "version": client.get(f"{MAPPINGS}/{mapping}").json()["version"],
        }
        assert client.post(f"{MAPPINGS}/{mapping}/decision", json=said).status_code == 200
    done = apply(client, found)
    assert (done["applied"]["changed"], done["applied"]["left"]) == (1, 2)
    url = f"{PLANS}/{found['id']}/left"
    first = client.get(url, params={"limit": 1}).json()
    second = client.get(url, params={"cursor": first["next_cursor"]}).json()
    assert [(one["text"], one["status"]) for one in first["items"] + second["items"]] == [
        ("one", "rejected"),
        ("three", "rejected"),
    ]
    assert "changed since" in first["items"][0]["reason"]
    assert (first["total"], second["next_cursor"]) == (2, None)
    assert client.get(url, params={"undoing": True}).json()["total"] == 0


def test_plans_are_listed_newest_first(client: httpx.Client) -> None:
    submit(client, "one")
    ids = [preview(client)["id"] for _ in range(3)]
    first = client.get(PLANS, params={"limit": 2}).json()
    second = client.get(PLANS, params={"cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]
    assert (first["total"], second["next_cursor"]) == (3, None)


def test_a_plan_is_applied_once_and_with_its_hash_only(client: httpx.Client) -> None:
    submit(client, "one")
    found = preview(client)
    wrong = client.post(f"{PLANS}/{found['id']}/apply", json={"hash": "0" * 64})
    assert (wrong.status_code, "another hash" in wrong.json()["detail"]) == (409, True)
    assert client.post(f"{PLANS}/{found['id']}/undo").status_code == 409
    assert client.post(f"{PLANS}/{found['id']}/cancel").status_code == 409
    apply(client, found)
    again = client.post(f"{PLANS}/{found['id']}/apply", json={"hash": found["hash"]})
    assert again.status_code == 409
    assert client.get(f"{PLANS}/99").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"action": "approve"},
        {"action": "approve", "filter": {}, "ids": [1]},
        {"action": "approve", "ids": []},
        {"action": "skip", "filter": {}},
        {"action": "correct", "filter": {}},
        {"action": "reject", "filter": {}, "target": "BLUE"},
        {"action": "approve", "filter": {"colour": "blue"}},
        {"action": "approve", "filter": {}, "target": "NONE"},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    assert client.post(PLANS, json=body).status_code == 422


def test_a_restart_goes_on_with_a_plan_and_with_its_undo(
    settings: Settings, engine: Engine
) -> None:
    with running(settings) as server, server.client() as client:
        submit(client, "one", "two", "three")
    database = Database(engine)
    plan_id = plan(database, Request(Action.APPROVE, "ann", Filter()), now)
    with database.begin() as session:
        digest = plans.get(session, plan_id).digest
        apply_plan.begin_apply(session, plan_id, digest, "ann", now())
    looks = iter([False, True])
    apply_plan.run(database, plan_id, now, lambda: next(looks), pause=0)
    with running(settings) as server, server.client() as client:
        assert wait(client, plan_id, "applied")["applied"]["changed"] == 3
    with database.begin() as session:
        apply_plan.begin_undo(session, plan_id, "ann", now())
    with running(settings) as server, server.client() as client:
        assert wait(client, plan_id, "undone")["undone"]["changed"] == 3


def test_a_plan_can_be_stopped(server: Running, client: httpx.Client) -> None:
    submit(client, "one", "two", "three")
    found = preview(client)
    database = Database(server.app.state.services.parts.engine)
    with database.begin() as session:
        apply_plan.begin_apply(session, found["id"], found["hash"], "ann", now())
    stopped = client.post(f"{PLANS}/{found['id']}/cancel")
    assert (stopped.status_code, stopped.json()["status"]) == (200, "cancelled")
    server.app.state.services.plans.put(found["id"])  # nothing happens to it any more
    apply(client, preview(client, ids=[2]))
    assert statuses(client) == ["pending", "approved", "pending"]


def test_a_plan_that_fails_says_why_and_the_next_one_runs(
    server: Running, client: httpx.Client
) -> None:
    submit(client, "one", "two")
    found, other = preview(client, ids=[1]), preview(client, ids=[2])
    parts = server.app.state.services.parts
    with parts.begin() as session:
        session.execute(
            text(
                "CREATE TRIGGER no BEFORE INSERT ON decisions WHEN NEW.mapping_id = 1"
                " BEGIN SELECT raise(ABORT, 'not today'); END"
            )
        )
    client.post(f"{PLANS}/{found['id']}/apply", json={"hash": found["hash"]})
    assert "not today" in wait(client, found["id"], "failed")["error"]
    apply(client, other)
    with parts.begin() as session:
        session.execute(text("DROP TRIGGER no"))
    assert apply(client, found)["error"] == ""
    assert statuses(client) == ["approved", "approved"]


def test_a_database_that_is_busy_is_asked_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A plan waits until the database answers, and old previews are forgotten meanwhile."""
    monkeypatch.setattr(plan_worker, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(plan_worker, "TIDY_SECONDS", 0.01)
    plan_id = plan(parts.database, Request(Action.APPROVE, "ann", Filter()), now)
    monkeypatch.setattr(plan_worker, "FORGOTTEN_AFTER", timedelta(0))
    with parts.begin() as session:
        session.execute(text("ALTER TABLE plan_leftovers RENAME TO away"))
        session.execute(text("ALTER TABLE plans RENAME TO gone"))
    worker = PlanWorker(parts)
    monkeypatch.setattr(plans, "under_way", lambda _session: [plan_id])
    worker.start()
    try:
        wait_for(lambda: "waits for the database" in caplog.text)
        with parts.begin() as session:
            session.execute(text("ALTER TABLE gone RENAME TO plans"))
        wait_for(lambda: _gone(parts))
    finally:
        worker.stop()


def _gone(parts: Parts) -> bool:
    with parts.read() as session:
        return plans.count(session) == 0
