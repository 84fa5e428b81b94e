"""The LLM Center's numbers over HTTP."""

from datetime import UTC, datetime

import httpx

from llm_pipeline_tests.api.test_catalogue import TARGETS, add, impact

ANALYTICS = "/api/llm-center/analytics"


def test_an_empty_center_has_no_rates(client: httpx.Client) -> None:
    found = client.get(ANALYTICS, params={"days": 2}).json()
    assert (found["acceptance_rate"], found["automatic_share"]) == (None, None)
    assert (found["queue"]["oldest_at"], found["queue"]["median_age_days"]) == (None, None)
    assert [day["received"] for day in found["days"]] == [0, 0]


def test_work_is_counted_as_it_is_done(client: httpx.Client) -> None:
    add(client, "LAMP", "quartz lantern")
    add(client, "LAMP", "quartz lantern two")
    client.post("/api/llm-center/mappings", json={"text": "something else", "target": "BLUE"})
    found = client.get(ANALYTICS).json()
    assert found["mappings"]["approved"] == {"mappings": 2, "rows": 2}
    assert (found["queue"]["rows"], found["queue"]["median_age_days"]) == (1, 0)
    assert found["queue"]["by_day"][0]["day"] == str(datetime.now(UTC).date())
    assert (found["decisions"]["approve"], found["automatic_share"]) == (2, 0.0)
    (reviewer,) = found["reviewers"]
    assert (reviewer["who"], reviewer["decisions"]) == ("admin", 2)
    assert found["acceptance_rate"] == reviewer["accepted"] / reviewer["suggested"]
    assert found["days"][-1]["received"] == 3
    (top,) = found["top_targets"]
    assert (top["key"], top["mappings"], top["rows"]) == ("LAMP", 2, 2)


def test_mappings_that_follow_a_target_are_nobodys_decisions(client: httpx.Client) -> None:
    add(client, "LAMP", "quartz lantern")
    add(client, "OIL", "oil lantern")
    before = client.get(ANALYTICS).json()
    merge = {"key": "LAMP", "into": "BLUE", "token": impact(client, "LAMP")["token"]}
    retire = {"key": "OIL", "token": impact(client, "OIL")["token"]}
    assert client.post(f"{TARGETS}/retire", json=merge).json()["moved"] == 1
    assert client.post(f"{TARGETS}/retire", json=retire).json()["reopened"] == 1
    after = client.get(ANALYTICS).json()
    for name in ("decisions", "reviewers", "acceptance_rate", "days"):
        assert after[name] == before[name]
