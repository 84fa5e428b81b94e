"""Components that change: table, history, event, alert, and automatic approval with them."""

from datetime import timedelta

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.steps.observe import Observation, observe
from llm_pipeline.store import alerts, breaker, components, log
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock

DEGRADED, DOWN, OK = Health.DEGRADED, Health.DOWN, Health.OK


def look(database: Database, clock: Clock, *statuses: Health, component: str = "MLflow") -> None:
    for status in statuses:
        at = clock()
        reason = "" if status is OK else "it does not answer"
        with database.begin() as session:
            observe(session, [Observation(Seen(component, status, "1 ms", reason), at)], "api", at)


def names(database: Database) -> list[str]:
    with database.read() as session:
        return [event.name for event in log.read_since(session, 0)]


def test_a_component_that_is_well_from_the_start_is_no_event(
    database: Database, clock: Clock
) -> None:
    look(database, clock, OK, OK)
    with database.read() as session:
        (standing,) = components.states(session).values()
        history = components.history(session, 5)
    assert names(database) == []
    assert (standing.status, standing.detail) == (OK, "1 ms")
    assert standing.seen_at - standing.since == timedelta(seconds=1)
    assert [change.status for change in history["MLflow"]] == [OK]


def test_a_component_that_goes_down_and_comes_back_is_told_once_each_way(
    database: Database, clock: Clock
) -> None:
    look(database, clock, OK, DOWN, DOWN, DOWN)
    with database.read() as session:
        (stop,) = breaker.open_stops(session)
        open_then = {(one.rule, one.severity, one.times) for one in alerts.open_alerts(session)}
    look(database, clock, OK, OK)
    with database.read() as session:
        assert breaker.open_stops(session) == []
        assert alerts.open_alerts(session) == []
        events = log.read_since(session, 0)
        history = components.history(session, 2)["MLflow"]
    assert (stop.cause, stop.subject) == (Cause.COMPONENT, "MLflow")
    stopped = ("automatic_approval_stopped", "critical", 1)
    assert open_then == {("component_down", "critical", 1), stopped}
    changes = [event.payload for event in events if event.name == "component:changed"]
    assert [(one["before"], one["status"]) for one in changes] == [("ok", "down"), ("down", "ok")]
    assert [one.status for one in history] == [OK, DOWN], "the newest two"


def test_a_degraded_component_warns_and_stops_nothing(database: Database, clock: Clock) -> None:
    look(database, clock, DOWN, DEGRADED)
    with database.read() as session:
        assert breaker.open_stops(session) == []
        (alert,) = alerts.open_alerts(session)
    assert (alert.rule, alert.severity) == ("component_degraded", "warning")
    assert alert.message == "MLflow is degraded: it does not answer"


def test_the_alert_says_what_is_wrong_now(database: Database, clock: Clock) -> None:
    for reason in ("job a failed", "job b failed"):
        seen = Seen("Runs", DEGRADED, "", reason)
        with database.begin() as session:
            observe(session, [Observation(seen, clock())], "api", clock())
    with database.read() as session:
        (alert,) = alerts.open_alerts(session)
    assert (alert.message, alert.times) == ("Runs is degraded: job b failed", 1)
    assert alert.updated_at > alert.raised_at
    assert names(database) == ["component:changed", "alert:raised"]


def test_one_of_two_sick_components_that_recovers_lets_nothing_go_on(
    database: Database, clock: Clock
) -> None:
    look(database, clock, DOWN)
    look(database, clock, DOWN, OK, component="Dagster daemon")
    with database.read() as session:
        assert [one.subject for one in breaker.open_stops(session)] == ["MLflow"]
