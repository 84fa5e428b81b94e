"""How models and gates did, over HTTP: by version, by suite, by day."""

from datetime import UTC, datetime

import httpx
import pytest

from llm_pipeline.store import models, quality
from llm_pipeline_tests.api.live_server import Running

SCORES = {
    "accuracy": 0.9, "unseen_accuracy": 0.5, "unseen_macro_f1": 0.4, "unseen_ece": 0.1,
    "unseen_brier": 0.2,
}  # fmt: skip
CURVES = {
    "all rows": {
        "coverage": [[0.2, 1.0], [0.6, 0.985], [1.0, 0.9]],
        "over_time": [["2026-01-01", 0.8], ["2026-02-01", 0.9]],
    }
}


@pytest.fixture
def trained(server: Running) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    with server.app.state.services.parts.begin() as session:
        for version, metrics in (("1", SCORES), ("2", {})):
            made = models.StoredModel(version, "run", 0, "imported", metrics, "", at, None)
            models.add_imported(session, made)
        models.promote(session, "1", "first", at)
        content = {"model_version": "1", "curves": CURVES}
        quality.save_report(session, "evaluation", 0, "told", content, at)


@pytest.mark.usefixtures("trained")
def test_every_version_is_told_with_its_scores_and_what_it_could_have_answered(
    client: httpx.Client,
) -> None:
    found = client.get("/api/learning/model-performance").json()
    versions = {one["version"]: one for one in found["versions"]}
    assert versions["1"]["status"] == "champion"
    assert (versions["1"]["accuracy"], versions["1"]["macro_f1"]) == (0.9, 0.4)
    assert (versions["1"]["calibration_error"], versions["1"]["brier"]) == (0.1, 0.2)
    assert (found["max_error"], versions["1"]["coverage_at_policy_error"]) == (0.02, 0.6)
    assert versions["1"]["audits"] == {"answered": 0, "right": 0}
    assert (versions["2"]["accuracy"], versions["2"]["coverage_at_policy_error"]) == (None, None)
    assert found["over_time"] == [["2026-01-01", 0.8], ["2026-02-01", 0.9]]
    stats = client.get("/api/ml/stats").json()
    assert (stats["champion"]["version"], stats["models"]) == ("1", {"champion": 1, "imported": 1})
    assert (stats["targets"], stats["approved_texts"]) == (3, 0)


def test_suites_are_told_over_time_with_what_was_posted(client: httpx.Client) -> None:
    path = "/api/llm-data/update-quality-metrics"
    for number, success in ((3.0, False), (1.0, True)):
        body = {"suite": "warehouse", "success": success, "metrics": {"late_rows": number}}
        assert client.post(path, json=body).status_code == 202
    (suite,) = client.get("/api/learning/quality-metrics").json()["suites"]
    assert (suite["suite"], suite["passes"], suite["pass_rate"]) == ("warehouse", True, 0.5)
    assert [one["success"] for one in suite["results"]] == [True, False]
    (posted,) = suite["posted"]
    assert (posted["name"], [value for _, value in posted["values"]]) == ("late_rows", [1.0, 3.0])


def test_what_is_posted_of_a_suite_that_is_checked_here_stands_beside_it(
    client: httpx.Client,
) -> None:
    path = "/api/llm-data/update-quality-metrics"
    body = {"suite": "submissions", "success": False}
    assert client.post(path, json=body).json()["automation_stopped"]
    assert not client.post(path, json=body | {"success": True}).json()["automation_stopped"]
    suites = client.get("/api/learning/quality-metrics").json()["suites"]
    assert [one["suite"] for one in suites] == ["submissions (posted)"]


def test_days_tell_what_was_suggested_taken_and_trained(client: httpx.Client) -> None:
    taught = {"text": "QUARTZ LANTERN", "target": "BLUE"}
    assert client.post("/api/ml/learn", json=taught).is_success
    found = client.get("/api/ml/analytics", params={"days": 7}).json()
    assert len(found["days"]) == 7
    today = found["days"][-1]
    assert today["day"] == str(datetime.now(UTC).date())
    assert (today["suggested"], today["accepted"], today["trained"]) == (0, 0, 0)
    assert today["audits"] == {"answered": 0, "right": 0}
    assert client.get("/api/ml/stats").json()["approved_texts"] == 1
