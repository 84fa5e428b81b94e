"""Drift: noticed, told, stopping automatic approval, and over."""

from datetime import timedelta

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.drift import compare
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.steps.look_for_drift import look_for_drift
from llm_pipeline.store import alerts, breaker, log
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.automation_factories import arrive, proven, suggest, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge


def _look(database: Database, clock: Clock) -> str:
    with database.begin() as session:
        return look_for_drift(session, "tests", clock()).explain()


def test_too_few_submissions_tell_nothing(database: Database, clock: Clock) -> None:
    assert _look(database, clock) == ("0 recent and 0 earlier submissions: 500 and 2000 are needed")


def test_a_stream_that_changes_stops_automatic_approval_until_it_is_as_before(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    proven(database, clock)
    merge(database, clock, [("KNOWN SHOP", "SBUX")], trusted=True)
    merge(database, clock, [("KNOWN SHOP", None)] * 2_000)
    clock.time += timedelta(days=2)
    ids = arrive(database, clock, [f"NEW {word(n)}" for n in range(500)])
    suggest(database, ids, "SBUX", 0.4, "model")

    told = _look(database, clock)

    assert "'below 0.5' went from 0 % to 100 %" in told
    with database.read() as session:
        (stop,) = breaker.open_stops(session)
        kinds = {alert.rule for alert in alerts.open_alerts(session)}
    assert stop.cause is Cause.DRIFT
    assert kinds == {"drift", breaker.ALERT_RULE}
    assert approve_waiting(database, "tests", clock).held == stop.reason
    clock.time += timedelta(days=31)
    _look(database, clock)
    assert approve_waiting(database, "tests", clock).held == ""
    with database.read() as session:
        assert alerts.open_alerts(session) == []
        assert len(log.read_since(session, 0, names=["automation:resumed"])) == 1


def test_the_same_shares_are_no_drift() -> None:
    found = compare({"repeat": 1_500, "below 0.5": 1_500}, {"repeat": 260, "below 0.5": 240})
    assert not found.is_large
    assert found.explain().startswith("population stability index 0.00")
