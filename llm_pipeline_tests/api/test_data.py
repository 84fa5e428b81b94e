"""Events, gates, alerts, components and models over HTTP; a text that is taught."""

import httpx
import pytest

from llm_pipeline.domain.gate import FailingRow
from llm_pipeline.domain.records import GateResult
from llm_pipeline.steps.report import report_quality
from llm_pipeline.store import models, quality
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running

ALERTS = "/api/llm-data/alerts"
MISSING = {"reason": "text is missing", "failing": 3}


@pytest.fixture
def failed_gate(engine: Engine) -> None:
    result = GateResult("submissions", False, "critical", 10, 4, (MISSING,))
    with transaction(engine) as session:
        quality.record_gate(session, result, 1, "test", now())


def trained(version: str) -> models.StoredModel:
    return models.StoredModel(version, "run", 1, "challenger", {"accuracy": 0.9}, "", now(), None)


@pytest.mark.usefixtures("failed_gate")
def test_an_alert_is_acknowledged_once_and_stays_open(server: Running) -> None:
    with server.client("reviewer") as reviewer, server.client("admin") as admin:
        # Automatic approval stops for it, with an alert of its own, at the watcher's next look.
        raised = reviewer.get(ALERTS).json()["items"]
        [alert] = [one for one in raised if one["rule"] == "gate_failed"]
        seen = reviewer.post(f"{ALERTS}/{alert['id']}/acknowledge").json()
        again = admin.post(f"{ALERTS}/{alert['id']}/acknowledge").json()
        events = reviewer.get("/api/llm-data/events").json()["items"]
        state = reviewer.get("/api/llm/state").json()
    assert alert["acknowledged_by"] is None
    assert seen["acknowledged_by"] == again["acknowledged_by"] == "reviewer"
    assert [event["name"] for event in events].count("alert:acknowledged") == 1
    assert alert["id"] in [one["id"] for one in state["alerts"]]


def test_acknowledging_needs_a_reviewer_and_an_alert(server: Running) -> None:
    with server.client("submitter") as submitter, server.client("reviewer") as reviewer:
        assert submitter.post(f"{ALERTS}/1/acknowledge").status_code == 403
        assert reviewer.post(f"{ALERTS}/1/acknowledge").status_code == 404


@pytest.mark.usefixtures("failed_gate")
def test_the_log_is_read_page_by_page_and_by_name(client: httpx.Client) -> None:
    first = client.get("/api/llm-data/events", params={"limit": 2}).json()
    rest = client.get("/api/llm-data/events", params={"cursor": first["next_cursor"]}).json()
    gates = client.get("/api/llm-data/events", params={"name": "gate:checked"}).json()
    offsets = [event["offset"] for event in first["items"] + rest["items"]]
    assert len(offsets) >= 3
    assert offsets == list(range(offsets[0], 0, -1))
    assert [event["payload"]["suite"] for event in gates["items"]] == ["submissions"]
    assert (first["total"], gates["total"], gates["total_is_exact"]) == (offsets[0], 1, True)


def test_a_name_that_no_event_has_is_refused_and_the_others_are_told(client: httpx.Client) -> None:
    for name in ("zz", "gate:*", "gate:checked,alert:raised", "%00"):
        answer = client.get("/api/llm-data/events", params={"name": name})
        assert answer.status_code == 422
        assert "gate:checked" in answer.json()["detail"]


@pytest.mark.usefixtures("failed_gate")
def test_gate_results_say_what_failed(client: httpx.Client) -> None:
    newest = client.get("/api/llm-data/quality").json()["items"]
    of_suite = client.get("/api/llm-data/quality", params={"suite": "submissions"}).json()["items"]
    assert newest == of_suite
    assert newest[0]["failures"] == [MISSING]


def test_the_rows_that_a_gate_names_come_in_pages(client: httpx.Client, engine: Engine) -> None:
    rows = tuple(FailingRow("mapping", str(n), "it is odd", "critical", "x") for n in range(5))
    result = GateResult("predictions", False, "critical", 10, 4, (MISSING,), rows, {"shares": 0.5})
    with transaction(engine) as session:
        result_id = quality.record_gate(session, result, 1, "test", now())
    [told] = client.get("/api/llm-data/quality").json()["items"]
    path = f"/api/llm-data/quality/{result_id}/rows"
    first = client.get(path, params={"limit": 3}).json()
    rest = client.get(path, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert (told["id"], told["figures"]) == (result_id, {"shares": 0.5})
    assert [row["key"] for row in first["items"] + rest["items"]] == list("01234")
    assert (first["total"], rest["next_cursor"]) == (5, None)
    assert client.get("/api/llm-data/quality/99/rows").status_code == 404


def test_reports_are_kept_with_their_pictures(client: httpx.Client, engine: Engine) -> None:
    with transaction(engine) as session:
        written = [report_quality(session, "test", now()).id for _ in range(3)]
    first = client.get("/api/llm-data/reports", params={"limit": 2}).json()
    rest = client.get("/api/llm-data/reports", params={"cursor": first["next_cursor"]}).json()
    picture = client.get(f"/api/llm-data/reports/{written[0]}/picture")
    assert [one["id"] for one in first["items"] + rest["items"]] == written[::-1]
    assert first["items"][0]["verdict"] == "every checked gate passes"
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    assert client.get("/api/llm-data/reports/99/picture").status_code == 404
    assert client.get("/api/llm-data/reports", params={"kind": "x"}).status_code == 422


def test_models_are_listed_and_an_unknown_one_is_not_found(
    client: httpx.Client, engine: Engine
) -> None:
    assert client.post("/api/ml/rollback", json={}).status_code == 404
    with transaction(engine) as session:
        models.add_challenger(session, trained("1"))
        models.promote(session, "1", "first", now())
        models.add_challenger(session, trained("2"))
    found = client.get("/api/ml/models").json()["items"]
    assert [(one["version"], one["status"]) for one in found] == [
        ("2", "challenger"),
        ("1", "champion"),
    ]
    assert client.get("/api/ml/models/1").json()["metrics"] == {"accuracy": 0.9}
    assert client.get("/api/ml/models/9").status_code == 404
    assert client.post("/api/ml/models/9/promote", json={}).status_code == 404


def test_before_the_first_forecast_there_is_none(client: httpx.Client) -> None:
    assert client.get("/api/insights").json() == {"report": None}


@pytest.mark.parametrize("known", [None, "SBUX", "BLUE"])
def test_a_text_that_is_taught_is_known_at_once(client: httpx.Client, known: str | None) -> None:
    if known is not None:
        client.post("/api/ml/learn", json={"text": "BLUE BOTTLE 7", "target": known})
    taught = client.post("/api/ml/learn", json={"text": "BLUE BOTTLE 7", "target": "BLUE"}).json()
    answer = client.post("/api/ml/recognize", json={"texts": ["BLUE BOTTLE 7"]}).json()
    counts = client.get("/api/llm/state").json()["center"]["mappings"]
    assert (taught["status"], taught["target"]) == ("approved", "BLUE")
    assert answer["results"][0]["target"] == "BLUE"
    assert (counts["approved"], counts["pending"]) == (1, 0)
