"""Numbers of a system: kept, told, held to limits, and what they stop."""

from datetime import datetime

import pytest

from llm_pipeline.domain.limits import Limit
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.post_metrics import Judged, Measured, post_metrics, set_limits
from llm_pipeline.store import alerts, breaker, log, metrics, system_metrics
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock

WARN, STOP = Limit(high=80.0), Limit(high=90.0, severity="critical")


def post(database: Database, at: datetime, **values: float) -> Judged:
    with database.begin() as session:
        return post_metrics(session, Measured("rack 1", values, at), "ann", at)


def limit(database: Database, at: datetime, **limits: Limit) -> Judged:
    with database.begin() as session:
        return set_limits(session, "rack 1", limits, "root", at)


def open_alerts(database: Database) -> set[tuple[str, str, str]]:
    with database.read() as session:
        return {(one.rule, one.subject, one.severity) for one in alerts.open_alerts(session)}


def test_numbers_are_kept_and_told(database: Database, clock: Clock) -> None:
    assert post(database, clock(), cpu=10.0, disk=5.0) == Judged([], automation_stopped=False)
    post(database, clock(), cpu=20.0)
    with database.read() as session:
        assert [value for _, value in metrics.series(session, "system:rack 1", "cpu")] == [20, 10]
        newest = {one.name: one.value for one in system_metrics.all_of(session)}
        told = [event.payload["metrics"] for event in log.read_since(session, 0)]
    assert newest == {"cpu": 20.0, "disk": 5.0}
    assert told == [{"cpu": 10.0, "disk": 5.0}, {"cpu": 20.0}]


def test_a_number_outside_its_limit_warns_until_it_is_back(
    database: Database, clock: Clock
) -> None:
    limit(database, clock(), cpu=WARN)
    judged = post(database, clock(), cpu=80.5)
    assert judged == Judged(["rack 1 cpu: 80.5 is above 80"], automation_stopped=False)
    assert open_alerts(database) == {("metric_out_of_limits", "rack 1 cpu", "warning")}
    post(database, clock(), cpu=80.0)
    assert open_alerts(database) == set()


def test_a_critical_one_stops_automatic_approval_until_it_is_back(
    database: Database, clock: Clock
) -> None:
    limit(database, clock(), cpu=STOP)
    assert post(database, clock(), cpu=99.0).automation_stopped
    with database.read() as session:
        assert [one.reason for one in breaker.open_stops(session)] == ["rack 1 cpu: 99 is above 90"]
    assert not post(database, clock(), cpu=9.0).automation_stopped
    assert open_alerts(database) == set()


def test_limits_count_at_once_and_with_their_new_severity(database: Database, clock: Clock) -> None:
    post(database, clock(), cpu=95.0)
    assert limit(database, clock(), cpu=WARN).outside == ["rack 1 cpu: 95 is above 80"]
    assert limit(database, clock(), cpu=STOP).automation_stopped
    assert ("metric_out_of_limits", "rack 1 cpu", "critical") in open_alerts(database)
    assert limit(database, clock()) == Judged([], automation_stopped=False)
    assert open_alerts(database) == set()


def test_a_limit_without_a_number_is_kept_and_forgotten(database: Database, clock: Clock) -> None:
    limit(database, clock(), cpu=WARN, disk=Limit(low=1.0))
    limit(database, clock(), cpu=WARN)
    with database.read() as session:
        assert [(one.name, one.limit) for one in system_metrics.all_of(session)] == [("cpu", WARN)]


def test_an_older_number_than_known_is_stored_and_judges_nothing(
    database: Database, clock: Clock
) -> None:
    limit(database, clock(), cpu=WARN)
    before = clock()
    post(database, clock(), cpu=10.0)
    assert post(database, before, cpu=99.0).outside == []
    with database.read() as session:
        assert len(metrics.series(session, "system:rack 1", "cpu")) == 2
        assert [one.value for one in system_metrics.all_of(session)] == [10.0]
    assert open_alerts(database) == set()


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (None, None, "needs `min`, `max` or both"),
        (2.0, 1.0, "`min` 2 is above `max` 1"),
        (None, float("inf"), "finite"),
    ],
)
def test_a_limit_that_means_nothing_is_refused(
    low: float | None, high: float | None, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        Limit(low, high)


def test_a_limit_below_is_told() -> None:
    assert Limit(low=3.0).broken_by(2.5) == "2.5 is below 3"
