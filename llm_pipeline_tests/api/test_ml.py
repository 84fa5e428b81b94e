"""Recognition, model status, health and the shared state."""

import time

import httpx
import pytest

from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Action, GateResult, Submission
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import alerts, models, quality
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, running, wait_for
from llm_pipeline_tests.factories import shops

RECOGNIZE = "/api/ml/recognize"


def approve_elsewhere(engine: Engine, text: str, target: str) -> None:
    """What another process does: submit and approve through its own connection."""
    with transaction(engine) as session:
        stored = submit(session, Submission(text), "other", now())
        decide(session, stored.id, Verdict(Action.APPROVE, 1, "other", target), now())


def target_of(client: httpx.Client, text: str) -> str | None:
    answer = client.post(RECOGNIZE, json={"texts": [text]}).json()
    found: str | None = answer["results"][0]["target"]
    return found


def test_answers_come_in_the_order_of_the_texts(client: httpx.Client, engine: Engine) -> None:
    approve_elsewhere(engine, "BLUE BOTTLE 1", "BLUE")
    wait_for(lambda: client.get("/readyz").json()["model_offset"] == 4)
    texts = ["nothing like it", "BLUE BOTTLE 1", "", "blue bottle 2", "BLUE BOTTLE 1"]
    body = client.post(RECOGNIZE, json={"texts": texts, "explain": True}).json()
    assert [one["text"] for one in body["results"]] == texts
    assert [one["target"] for one in body["results"]] == [None, "BLUE", None, "BLUE", "BLUE"]
    assert (body["model_version"], body["offset"]) == ("memory", 4)
    best = body["results"][3]["candidates"][0]
    assert (best["evidence"], best["example"]) == ("key", "BLUE BOTTLE 1")
    assert 0 < best["probability"] < 1


def test_an_approval_in_another_process_counts_within_a_second(
    client: httpx.Client, engine: Engine
) -> None:
    assert target_of(client, "ЯНДЕКС ТАКСИ") is None
    approve_elsewhere(engine, "ЯНДЕКС ТАКСИ", "BLUE")
    begun = time.monotonic()
    wait_for(lambda: target_of(client, "ЯНДЕКС ТАКСИ") == "BLUE")
    assert time.monotonic() - begun < 1


def test_a_restart_keeps_what_was_learned(settings: Settings, engine: Engine) -> None:
    with running(settings):
        approve_elsewhere(engine, "BLUE BOTTLE", "BLUE")
    with running(settings) as again, again.client() as client:
        assert target_of(client, "blue bottle") == "BLUE"


@pytest.mark.parametrize(
    "body", [{"texts": []}, {"texts": ["a"] * 10_001}, {"texts": "a"}, {"texts": ["a\x00"]}, {}]
)
def test_refuses_texts_it_cannot_take(client: httpx.Client, body: object) -> None:
    assert client.post(RECOGNIZE, json=body).status_code == 422


@pytest.mark.parametrize(
    "extra",
    [
        [],
        [None],
        [{}, {}, {}],
        {"gl": "parts"},
        ["parts", None],
        [{"gl": ["parts"]}, None],
        [{"gl": "a\x00"}, None],
        [{str(n): "" for n in range(101)}, None],
    ],
)
def test_refuses_columns_that_do_not_fit_the_texts(client: httpx.Client, extra: object) -> None:
    answer = client.post(RECOGNIZE, json={"texts": ["a", "b"], "extra": extra})
    assert answer.status_code == 422
    assert "extra" in answer.text


def test_columns_without_weights_change_no_answer(client: httpx.Client) -> None:
    texts = ["Blue Bottle Coffee", "Amazon", "Blue Bottle Coffee"]
    plain = client.post(RECOGNIZE, json={"texts": texts}).json()
    said = [{"gl": "PARTS", "amount": 12.5, "month": 7, "cost": None}, None, {"gl": "food"}]
    assert client.post(RECOGNIZE, json={"texts": texts, "extra": said}).json() == plain
    assert [one["target"] for one in plain["results"]] == ["BLUE", "AMZN", "BLUE"]


def test_a_column_that_helps_tells_equal_texts_apart(server: Running) -> None:
    texts, targets, columns = zip(*shops(400, 0, decides=True), strict=True)
    known = Recognizer().fit(texts, targets, extra=[{"gl": column} for column in columns])
    server.app.state.services.live.serving._recognizer = known
    said = [{"gl": "parts all"}, {"gl": "MEALS"}, {"gl": "Parts, all"}]
    asked = {"texts": ["harbor moltin"] * 3, "extra": said}
    with server.client() as client:
        found = client.post(RECOGNIZE, json=asked).json()["results"]
    assert [one["candidates"][0]["target"] for one in found] == ["AMZN", "SBUX", "AMZN"]


def test_ten_thousand_texts_are_answered(client: httpx.Client) -> None:
    answer = client.post(RECOGNIZE, json={"texts": [f"SHOP {n}" for n in range(10_000)]})
    assert len(answer.json()["results"]) == 10_000


def _champion(engine: Engine, version: str) -> None:
    metrics = {"accuracy": 0.9}
    with transaction(engine) as session:
        models.add_challenger(
            session,
            models.StoredModel(version, "run", 1, "challenger", metrics, "", now(), None),
        )
        models.promote(session, version, "first model", now())


def test_tells_champion_and_what_was_learned_since(client: httpx.Client, engine: Engine) -> None:
    before = client.get("/api/llm-center/get-model-status").json()
    assert (before["champion"], before["challenger"], before["learn_after"]) == (None, None, 20)
    _champion(engine, "7")
    approve_elsewhere(engine, "BLUE BOTTLE", "BLUE")
    body = client.get("/api/llm-center/get-model-status").json()
    assert (body["champion"]["version"], body["champion"]["as_of"]) == ("7", 1)
    assert (body["trained_up_to"], body["learned_since"], body["missing"]) == (1, 1, 19)
    assert body["decisions_since"] == 1


def test_a_model_that_cannot_be_loaded_leaves_the_last_one_answering(
    client: httpx.Client, engine: Engine
) -> None:
    _champion(engine, "7")
    approve_elsewhere(engine, "ЯНДЕКС ТАКСИ", "BLUE")
    wait_for(lambda: target_of(client, "ЯНДЕКС ТАКСИ") == "BLUE")
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["model_version"]) == ("ready", "memory")
    assert ready["model_problem"]


def test_the_state_is_one_snapshot(client: httpx.Client, engine: Engine) -> None:
    approve_elsewhere(engine, "BLUE BOTTLE", "BLUE")
    _champion(engine, "7")
    with transaction(engine) as session:
        failed = {"reason": "no target", "failing": 2, "severity": "critical"}
        for success in (True, False):
            result = GateResult("training_set", success, "critical", 5, 3, (failed,))
            quality.save_gate(session, result, 3, now())
        finding = alerts.Finding("gate_failed", "training_set", "critical", "it failed")
        alerts.raise_once(session, finding, now())
    body = client.get("/api/llm/state").json()
    assert body["offset"] == 4
    assert body["center"]["mappings"]["approved"] == 1
    assert (body["center"]["submissions"], body["center"]["targets"]) == (1, 3)
    assert body["center"]["sample_data"] is True
    assert (body["ml"]["champion"], body["ml"]["metrics"]) == ("7", {"accuracy": 0.9})
    assert [(gate["suite"], gate["success"]) for gate in body["data"]["gates"]] == [
        ("training_set", False)
    ]
    assert body["alerts"][0]["message"] == "it failed"


def test_health_needs_no_sign_in(server: Running) -> None:
    with server.client(None) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json()["offset"] == 1


def test_a_database_that_is_not_migrated_is_not_ready(client: httpx.Client, engine: Engine) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    assert client.get("/readyz").status_code == 503


def test_a_database_that_is_gone_leaves_the_process_answering(
    client: httpx.Client, engine: Engine
) -> None:
    with engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO hidden")
    assert client.get("/readyz").status_code == 503
    assert client.get("/api/llm/state").status_code == 503
    assert client.get("/healthz").status_code == 200
    with engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO events")
    approve_elsewhere(engine, "BLUE BOTTLE", "BLUE")
    wait_for(lambda: target_of(client, "BLUE BOTTLE") == "BLUE")
