"""Automatic approval over HTTP: the bound in, the policy and its evidence out, audits, stops."""

from typing import Any

import httpx
import pytest

from llm_pipeline.domain.records import Action
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import audits, log, mappings, metrics, policies
from llm_pipeline.store.engine import Database, Engine
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, wait_for
from llm_pipeline_tests.automation_factories import (
    MOST_FITS,
    answer_audits,
    arrive,
    proven,
    proven_but_for_names,
    suggest,
    word,
)

POLICY = "/api/automation/policy"
AUDITS = "/api/automation/audits"
MAPPINGS = "/api/llm-center/mappings"


def standing(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get(POLICY).json()
    return found


def submit(client: httpx.Client, text: str) -> dict[str, Any]:
    found: dict[str, Any] = client.post(MAPPINGS, json={"text": text}).json()
    return found


def approve(client: httpx.Client, text: str, target: str) -> None:
    waiting = submit(client, text)
    verdict = {"action": "approve", "target": target, "version": waiting["version"]}
    answer = client.post(f"{MAPPINGS}/{waiting['id']}/decision", json=verdict)
    assert answer.status_code == 200, answer.text


def test_before_any_audit_it_says_how_many_are_missing(client: httpx.Client) -> None:
    told = standing(client)
    assert (told["on"], told["policy"], told["stops"]) == (False, None, [])
    assert (told["max_error"], told["confidence"], told["missing_audits"]) == (0.02, 0.95, 149)
    assert told["sentence"] == (
        "nothing is approved automatically yet: 149 audits without an error are missing"
    )


def test_an_admin_sets_the_bound_and_each_version_is_kept(client: httpx.Client) -> None:
    first = client.put(POLICY, json={"max_error": 0.05}).json()
    second = client.put(POLICY, json={"confidence": 0.9, "reason": "a trial"}).json()
    assert (first["max_error"], first["confidence"], first["missing_audits"]) == (0.05, 0.95, 59)
    assert (second["max_error"], second["confidence"], second["missing_audits"]) == (0.05, 0.9, 45)
    assert not second["on"]
    versions = client.get("/api/automation/policies?limit=1").json()
    assert (versions["total"], versions["items"][0]["version"]) == (2, 2)
    assert (versions["items"][0]["reason"], versions["items"][0]["actor"]) == ("a trial", "admin")
    older = client.get(f"/api/automation/policies?cursor={versions['next_cursor']}").json()
    assert [one["version"] for one in older["items"]] == [1]
    assert older["next_cursor"] is None


@pytest.mark.parametrize(
    "body",
    [{"max_error": 0}, {"max_error": 1}, {"confidence": 1.5}, {"resume": True}, {"x": 1}, {}],
)
def test_refuses_a_policy_that_makes_no_sense(client: httpx.Client, body: object) -> None:
    assert client.put(POLICY, json=body).status_code == 422
    assert standing(client)["policy"] is None


def test_a_proof_for_unsure_answers_opens_step_by_step(
    client: httpx.Client, engine: Engine
) -> None:
    database = Database(engine)
    ids = arrive(database, now, [f"UNSURE {word(n)}" for n in range(200)], share=1.0)
    suggest(database, ids, "SBUX", 0.8)
    answer_audits(database, now, lambda _text: "SBUX")
    first = client.put(POLICY, json={"reason": "once"}).json()
    fits = 1
    while not client.put(POLICY, json={"reason": "again"}).json()["on"]:
        fits += 1
        assert fits < MOST_FITS
    assert (first["on"], first["policy"]["approves"], first["missing_audits"]) == (False, [], 0)
    assert "though proven by 200 audits, 0 errors" in first["sentence"]
    assert standing(client)["on"]


def test_a_proven_policy_approves_what_is_submitted_and_says_why(
    client: httpx.Client, engine: Engine
) -> None:
    approve(client, "BLUE BOTTLE 1", "BLUE")
    wait_for(lambda: client.get("/readyz").json()["model_offset"] >= 5)
    before = submit(client, "BLUE BOTTLE 2")
    policy = proven(Database(engine), now, probability=0.8)
    told = standing(client)
    assert (before["status"], told["on"], told["missing_audits"]) == ("pending", True, 0)
    sentence = "200 audits, 0 errors, at most 1.5 % wrong with 95 % confidence"
    assert told["sentence"] == f"approved automatically because of {sentence}"
    (part,) = told["policy"]["approves"]
    assert (part["stratum"], part["audits"], part["errors"]) == ("key", 200, 0)
    assert part["because"] == sentence

    new = submit(client, "BLUE BOTTLE 3")

    assert (new["status"], new["target"]) == ("auto_approved", "BLUE")
    history = client.get(f"{MAPPINGS}/{new['id']}").json()
    assert history["decisions"][0]["actor"] == f"policy {policy.id}"
    assert sentence in history["decisions"][0]["reason"]
    assert standing(client)["auto_approved"] == 1
    assert submit(client, "blue bottle 3")["rows"] == 2, "it is live: a repeat joins it"


def test_answers_that_their_audits_speak_against_are_left_out_and_the_policy_says_so(
    client: httpx.Client, engine: Engine
) -> None:
    database = Database(engine)
    proven_but_for_names(database, now)
    told = client.put(POLICY, json={"reason": "a look"}).json()
    assert told["on"]
    assert [part["stratum"] for part in told["policy"]["approves"]] == ["key"]
    because = "left out: wrong in 5 of 20 audits of the last 2 months; 5 % are allowed"
    (left,) = told["policy"]["leaves_out"]
    counts = {"stratum": "names", "audits": 20, "errors": 5, "allowed": 0.05, "months": 2}
    assert left == counts | {"overdue": 0, "because": because}
    with database.read() as session:
        fitted = log.read_since(session, 0, names=["policy:fitted"])[-1]
    assert fitted.payload["leaves_out"] == [f"names: {because}"]


def _audited(engine: Engine, target: str = "BLUE") -> tuple[int, int]:
    """A text that was drawn, with a suggestion; its mapping and its audit."""
    database = Database(engine)
    (one,) = arrive(database, now, ["MOON CAFE"], share=1.0)
    suggest(database, [one], target)
    with database.read() as session:
        (waiting,) = audits.open_for(session, "reviewer", 0, 10)
    return one, waiting.id


def test_an_audit_is_shown_without_the_answer(server: Running, engine: Engine) -> None:
    mapping, number = _audited(engine)
    with server.client("reviewer") as client:
        body = client.get(AUDITS).json()
    (shown,) = body["items"]
    assert (shown["id"], shown["mapping_id"], shown["text"]) == (number, mapping, "MOON CAFE")
    assert set(shown) == {"id", "mapping_id", "text", "rows", "sampled_at", "due_at"}
    assert "BLUE" not in str(body)


@pytest.mark.parametrize(
    ("said", "right", "status"),
    [("BLUE", True, "approved"), ("SBUX", False, "approved"), (None, False, "rejected")],
)
def test_an_answer_makes_the_mapping_mean_it_at_once(
    server: Running, engine: Engine, said: str | None, right: bool, status: str
) -> None:
    _, number = _audited(engine)
    with server.client("reviewer") as client:
        done = client.post(f"{AUDITS}/{number}", json={"target": said})
        assert done.status_code == 200, done.text
        again = client.post(f"{AUDITS}/{number}", json={"target": said})
        known = client.post("/api/ml/recognize", json={"texts": ["moon cafe"]}).json()
    body = done.json()
    assert (body["right"], body["status"], body["target"]) == (right, status, said)
    assert again.status_code == 409
    if said is not None:
        assert known["results"][0]["target"] == said


def test_an_audit_corrects_what_a_policy_had_approved(server: Running, engine: Engine) -> None:
    database = Database(engine)
    proven(database, now)
    mapping, number = _audited(engine)
    approve_waiting(database, "tests", now)
    with server.client("reviewer") as client:
        body = client.post(f"{AUDITS}/{number}", json={"target": "SBUX"}).json()
        history = client.get(f"{MAPPINGS}/{mapping}").json()
    assert (body["right"], body["status"], body["target"]) == (False, "approved", "SBUX")
    assert [one["action"] for one in history["decisions"]] == ["approve", "correct"]
    assert history["decisions"][1]["reason"] == f"audit {number}"


def test_a_doubtful_repeat_is_held_and_its_answer_counts_at_once(
    server: Running, client: httpx.Client
) -> None:
    approve(client, "MOON CAFE", "AMZN")
    for target in ("SBUX", "BLUE", "SBUX", "BLUE"):
        live = client.get(MAPPINGS).json()["items"][0]
        verdict = {"action": "correct", "target": target, "version": live["version"]}
        assert client.post(f"{MAPPINGS}/{live['id']}/decision", json=verdict).status_code == 200
    client.put(POLICY, json={"reason": "the first"})

    joined = submit(client, "moon cafe")

    assert (joined["status"], joined["target"]) == ("approved", "BLUE")
    assert standing(client)["held"] == {"mappings": 1, "rows": 1}
    with server.client("reviewer") as reviewer:
        (shown,) = reviewer.get(AUDITS).json()["items"]
        assert (shown["mapping_id"], "BLUE" in str(shown)) == (joined["id"], False)
        done = reviewer.post(f"{AUDITS}/{shown['id']}", json={"target": "SBUX"}).json()
    assert (done["right"], done["target"]) == (False, "SBUX")
    assert standing(client)["held"] == {"mappings": 0, "rows": 0}
    known = client.post("/api/ml/recognize", json={"texts": ["moon cafe"]}).json()
    assert known["results"][0]["target"] == "SBUX"


def test_whoever_decided_is_not_asked(server: Running, engine: Engine) -> None:
    mapping, number = _audited(engine)
    with Database(engine).begin() as session:
        version = mappings.get(session, mapping).version
        decide(session, mapping, Verdict(Action.APPROVE, version, "reviewer"), now())
    with server.client("reviewer") as client:
        assert client.get(AUDITS).json()["items"] == []
        assert client.post(f"{AUDITS}/{number}", json={"target": "BLUE"}).status_code == 403
    with server.client("admin") as client:
        assert client.post(f"{AUDITS}/{number}", json={"target": "BLUE"}).status_code == 200


def test_stopping_and_resuming_need_a_reason_and_are_told(
    client: httpx.Client, engine: Engine
) -> None:
    proven(Database(engine), now)
    stopped = client.put(POLICY, json={"stop": True, "reason": "a look first"}).json()
    assert (stopped["on"], stopped["stops"][0]["reason"]) == (False, "a look first")
    assert stopped["sentence"] == "automatic approval is stopped: a look first"
    resumed = client.put(POLICY, json={"resume": True, "reason": "looked"}).json()
    assert (resumed["on"], resumed["stops"]) == (True, [])
    (past,) = client.get("/api/automation/stops").json()
    assert (past["cause"], past["resumed_by"], past["resume_reason"]) == (
        "person",
        "admin",
        "looked",
    )
    with Database(engine).read() as session:
        names = [e.name for e in log.read_since(session, 0, 10_000) if "automation" in e.name]
    assert names == ["automation:stopped", "automation:resumed"]


def test_a_posted_failure_stops_automatic_approval_until_the_suite_succeeds(
    client: httpx.Client, engine: Engine
) -> None:
    proven(Database(engine), now)
    path = "/api/llm-data/update-quality-metrics"
    failed = {"suite": "supplier feed", "success": False, "metrics": {"missing_share": 0.4}}
    answer = client.post(path, json=failed)
    stopped = standing(client)
    again = client.post(path, json=failed | {"success": True, "at": "2026-03-01T10:00:00Z"})
    assert (answer.status_code, answer.json()["automation_stopped"]) == (202, True)
    assert not stopped["on"]
    assert stopped["stops"][0]["reason"] == (
        "the gate supplier feed failed: admin posted a failure (missing_share 0.4) (0 rows)"
    )
    assert again.json()["automation_stopped"] is False
    assert standing(client)["on"]
    with Database(engine).read() as session:
        found = metrics.series(session, "quality:supplier feed", "missing_share")
    assert [value for _, value in found] == [0.4, 0.4]
    assert client.post(path, json={"suite": "", "success": True}).status_code == 422


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        ({"policy": 1}, 3),
        ({"policy": 2}, 0),
        ({"model": "1"}, 3),
        ({"decided_by": "policy 1"}, 3),
        ({"policy": 1, "q": "bad"}, 2),
    ],
)
def test_what_one_policy_approved_is_put_back_in_one_plan_and_undone(
    client: httpx.Client, engine: Engine, wanted: dict[str, Any], number: int
) -> None:
    database = Database(engine)
    policy = proven(database, now)
    ids = arrive(database, now, ["BAD ONE", "BAD TWO", "GOOD THREE", "CONFIRMED"])
    suggest(database, ids, "SBUX")
    with database.begin() as session:
        policies.looked(session, policy.id, policy.offset + 1)
    approve_waiting(database, "tests", now)
    with database.begin() as session:
        version = mappings.get(session, ids[3]).version
        decide(session, ids[3], Verdict(Action.CORRECT, version, "ann", "SBUX"), now())
        log_before = log.latest(session)

    listed = client.get(MAPPINGS, params=wanted | {"status": "auto_approved"}).json()
    plan = {"filter": wanted | {"status": "auto_approved"}, "action": "reopen"}
    preview = client.post("/api/llm-center/plans", json=plan).json()
    assert (listed["total"], preview["count"]) == (number, number)
    if number == 0:
        return
    path = f"/api/llm-center/plans/{preview['id']}"
    client.post(f"{path}/apply", json={"hash": preview["hash"]})
    wait_for(lambda: client.get(path).json()["status"] == "applied")
    assert standing(client)["auto_approved"] == 3 - number
    again = approve_waiting(database, "tests", now)
    client.post(f"{path}/undo")
    wait_for(lambda: client.get(path).json()["status"] == "undone")

    assert again.approved == 0, "what was put back waits for people"
    assert standing(client)["auto_approved"] == 3
    with database.read() as session:
        assert log.latest(session) > log_before
    relisted = client.get(MAPPINGS, params=wanted | {"status": "auto_approved"}).json()
    assert relisted["total"] == (0 if "decided_by" in wanted else number), relisted
