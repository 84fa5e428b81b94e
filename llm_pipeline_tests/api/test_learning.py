"""Trainings asked for over HTTP, and feedback that never goes straight to live."""

from typing import Any

import httpx
import pytest

from llm_pipeline.config import Settings
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.store import log, mappings
from llm_pipeline.store.engine import Database, Engine
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running
from llm_pipeline_tests.automation_factories import arrive, proven, status, suggest
from llm_pipeline_tests.factories import merge

TRIGGER = "/api/llm-center/trigger-learning"
FEEDBACK = "/api/learning/feedback-loop"


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    # Nothing listens there: Dagster is down.
    return Settings(home=tmp_path, dagster_port=9, learn_after_feedback=3)


def test_a_training_is_wanted_even_if_dagster_is_down(client: httpx.Client) -> None:
    first = client.post(TRIGGER, json={"reason": "a new month"})
    second = client.post(TRIGGER)
    (wanted,) = client.get("/api/learning/wanted").json()
    assert first.status_code == 202
    assert first.json() == {"run_id": None, "wanted_id": 1, "as_of": 2, "reason": "a new month"}
    assert (wanted["kind"], wanted["actor"], wanted["outcome"]) == ("person", "admin", "")
    assert second.status_code == 409
    assert "wanted by admin" in second.json()["detail"]


def say(client: httpx.Client, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = client.post(FEEDBACK, json=list(items))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.fixture
def live(engine: Engine) -> Database:
    """A text that a person approved."""
    database = Database(engine)
    merge(database, now, [("MOON CAFE", "BLUE")], trusted=True)
    return database


def test_what_is_right_is_confirmed_and_stays(server: Running, live: Database) -> None:
    with server.client("submitter") as client:
        (done,) = say(client, {"text": "moon cafe", "correct": True})
    assert (done["done"], done["status"], done["mapping_id"]) == ("confirmed", "approved", 1)
    with live.read() as session:
        assert mappings.get(session, 1).rows == 2


def test_what_should_be_another_target_is_proposed_beside_the_live_one(
    server: Running, live: Database
) -> None:
    with server.client("submitter") as client:
        (done,) = say(client, {"recognition_id": 1, "correct": False, "target": "SBUX"})
    assert (done["done"], done["status"]) == ("proposed", "pending")
    with live.read() as session:
        beside = mappings.get(session, done["mapping_id"])
    assert (beside.proposed_target, beside.source, beside.submitter) == (
        "SBUX",
        "feedback",
        "submitter",
    )
    assert status(live, 1) == ("approved", "BLUE")


@pytest.mark.parametrize(
    ("role", "done", "after"),
    [("submitter", "recorded", "approved"), ("reviewer", "reopened", "pending")],
)
def test_only_a_reviewer_puts_back_what_a_person_approved(
    server: Running, live: Database, role: str, done: str, after: str
) -> None:
    with server.client(role) as client:
        (said,) = say(client, {"text": "MOON CAFE", "correct": False, "note": "no"})
    assert (said["done"], said["status"]) == (done, after)
    assert status(live, 1)[0] == after


def test_what_only_a_policy_approved_waits_again(server: Running, live: Database) -> None:
    proven(live, now)
    (one,) = arrive(live, now, ["SUN CAFE"])
    suggest(live, [one], "SBUX")
    approve_waiting(live, "tests", now)
    with server.client("submitter") as client:
        (done,) = say(client, {"text": "Sun Cafe", "correct": False})
    assert (done["done"], done["mapping_id"], done["status"]) == ("reopened", one, "pending")


def test_what_waits_gets_the_proposal(server: Running, live: Database) -> None:
    (one,) = arrive(live, now, ["SUN CAFE"])
    suggest(live, [one], "SBUX")
    with server.client("submitter") as client:
        right, wrong = say(
            client,
            {"recognition_id": one, "correct": True},
            {"recognition_id": one, "correct": False},
        )
    assert (right["done"], right["status"]) == ("proposed", "pending")
    assert (wrong["done"], wrong["why"]) == ("recorded", "it is pending and answers nobody")
    with live.read() as session:
        assert mappings.get(session, one).proposed_target == "SBUX"


def test_a_new_text_is_submitted_and_bad_items_do_no_harm(server: Running, live: Database) -> None:
    with server.client("submitter") as client:
        new, gone, unknown, empty = say(
            client,
            {"text": "STAR BAR", "correct": False, "target": "BLUE"},
            {"recognition_id": 99, "correct": True},
            {"text": "STAR BAR", "correct": False, "target": "NOPE"},
            {"text": "?!", "correct": True},
        )
    assert (new["done"], new["status"]) == ("submitted", "pending")
    assert [one["done"] for one in (gone, unknown, empty)] == ["refused"] * 3
    assert "there is no mapping 99" in gone["why"]
    with live.read() as session:
        (told,) = log.read_since(session, 0, names=["feedback:given"])
    assert (told.payload["items"], told.payload["wrong"]) == (1, 1)


def test_enough_wrong_answers_trigger_a_training_once(server: Running, live: Database) -> None:
    with server.client("submitter") as client:
        moon, sun, bar, tea = (
            {"text": text, "correct": False} for text in ("MOON CAFE", "SUN CAFE", "BAR", "TEA")
        )
        few = client.post(FEEDBACK, json=[moon, sun]).json()
        again = client.post(FEEDBACK, json=[moon, moon]).json()
        enough = client.post(FEEDBACK, json=[bar]).json()
        more = client.post(FEEDBACK, json=[tea]).json()
    assert again["wrong_since"] == 2, "who says it again says nothing new"
    assert (few["learning_triggered"], few["wrong_since"], few["needed"]) == (False, 2, 3)
    assert enough["learning_triggered"]
    assert not more["learning_triggered"]
    with server.client() as client:
        (wanted,) = client.get("/api/learning/wanted").json()
    assert (wanted["kind"], wanted["version"]) == ("feedback", "0:1")


@pytest.mark.parametrize(
    "body",
    [[], [{"correct": True}], [{"text": "A", "recognition_id": 1, "correct": True}], {"a": 1}],
)
def test_refuses_feedback_about_nothing(client: httpx.Client, body: object) -> None:
    assert client.post(FEEDBACK, json=body).status_code == 422
