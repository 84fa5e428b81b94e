"""`/metrics`: numbers that a Prometheus can read, and who may read them."""

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llm_pipeline.config import Settings
from llm_pipeline_tests.api.live_server import Running, prepare, running, wait_for


def samples(client: httpx.Client) -> dict[tuple[str, ...], float]:
    told = client.get("/metrics")
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain")
    return {
        (one.name.removeprefix("llm_pipeline_"), *one.labels.values()): one.value
        for family in text_string_to_metric_families(told.text)
        for one in family.samples
    }


def test_requests_are_counted_by_the_template_of_their_route(client: httpx.Client) -> None:
    for number in (7, 8, 9):
        client.get(f"/api/llm-center/mappings/{number}")
    client.request("PURGE", "/coffee")
    found = samples(client)
    route = "/api/llm-center/mappings/{mapping_id}"
    assert found["requests_total", "GET", route, "404"] == 3
    assert found["request_seconds_count", "GET", route] == 3
    assert found["request_seconds_bucket", "+Inf", "GET", route] == 3
    assert found["requests_total", "other", "other", "404"] == 1


def test_the_store_is_told_from_its_counters(client: httpx.Client) -> None:
    for text in ("MOON CAFE", "moon cafe", "SUN CAFE"):
        client.post("/api/llm-center/mappings", json={"text": text}).raise_for_status()
    client.post(
        "/api/llm-data/update-quality-metrics", json={"suite": "mine", "success": False}
    ).raise_for_status()
    wait_for(lambda: ("component_status", "Database", "ok") in samples(client))
    found = samples(client)
    assert found["mappings", "pending"] == 2
    assert found["queue_mappings",] == 2
    assert found["queue_rows",] == found["submissions_total",] == 3
    assert found["open_alerts", "critical"] == 2, "the gate, and automatic approval for it"
    assert found["automation_stops",] == 1
    assert found["log_offset",] > 3
    assert found["component_status", "Database", "ok"] == 1
    assert found["component_status", "Database", "down"] == 0
    assert ("model_info", "", "", "memory") in found
    wait_for(lambda: samples(client)["recogniser_lag_events",] == 0)


def test_a_viewer_may_read_and_a_stranger_may_not(server: Running) -> None:
    with server.client("viewer") as viewer, server.client(None) as stranger:
        assert viewer.get("/metrics").status_code == 200
        assert stranger.get("/metrics").status_code == 401


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 200),
        ({"X-Forwarded-For": "10.0.0.7"}, 401),
        ({"Forwarded": "for=10.0.0.7"}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_a_setting_opens_it_to_this_machine_but_not_through_a_proxy(
    tmp_path: Path, sent: dict[str, str], status: int
) -> None:
    settings = Settings(home=tmp_path, metrics_open=True)
    prepare(settings).dispose()
    with running(settings) as server, server.client(None) as scraper:
        assert scraper.get("/metrics", headers=sent).status_code == status
        assert scraper.get("/api/llm/state").status_code == 401
