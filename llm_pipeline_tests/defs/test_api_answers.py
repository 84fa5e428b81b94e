"""The sensor that looks at the API from outside, and how fresh assets must be."""

import pytest
from dagster import DagsterInstance, Definitions, build_sensor_context

from llm_pipeline.defs import sensors
from llm_pipeline.defs.freshness import POLICIES
from llm_pipeline.defs.jobs import SCHEDULES
from llm_pipeline.defs.resources import Pipeline
from llm_pipeline.domain.health import Health
from llm_pipeline.store import alerts, breaker, components
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.api.live_server import prepare, running


def ticked(instance: DagsterInstance, pipeline: Pipeline, cursor: str | None) -> str:
    context = build_sensor_context(instance, cursor=cursor, resources={"pipeline": pipeline})
    with context:
        sensors.api_answers(context)
        return context.cursor or ""


def test_an_api_that_does_not_answer_twice_is_down_until_it_answers(
    parts: Parts,
    pipeline: Pipeline,
    instance: DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(parts.settings).dispose()
    with running(parts.settings) as server:
        monkeypatch.setenv("LLM_PIPELINE_API_PORT", server.url.rpartition(":")[2])
        cursor = ticked(instance, pipeline, None)
    assert cursor == "0"
    once = ticked(instance, pipeline, cursor)
    with parts.read() as session:
        assert components.states(session)["API"].status is Health.OK, "once may be a hiccup"
    twice = ticked(instance, pipeline, once)
    with parts.read() as session:
        (stop,) = breaker.open_stops(session)
        told = {one.rule for one in alerts.open_alerts(session)}
    assert (once, twice, stop.subject) == ("1", "2", "API")
    assert told == {"component_down", "automatic_approval_stopped"}

    with running(parts.settings) as server:
        monkeypatch.setenv("LLM_PIPELINE_API_PORT", server.url.rpartition(":")[2])
        assert ticked(instance, pipeline, twice) == "0"
    with parts.read() as session:
        assert components.states(session)["API"].status is Health.OK
        assert breaker.open_stops(session) == []


@pytest.mark.parametrize("asset", list(POLICIES))
def test_what_the_clock_makes_may_not_get_older_than_two_rounds_of_it(
    definitions: Definitions, asset: str
) -> None:
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    scheduled = {
        name
        for schedule in SCHEDULES
        for name in definitions.resolve_job_def(
            schedule.job_name
        ).asset_layer.asset_graph.get_all_asset_keys()
    }
    assert specs[asset].freshness_policy == POLICIES[asset]
    assert specs[asset].key in scheduled
