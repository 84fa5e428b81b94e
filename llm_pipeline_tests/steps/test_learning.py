"""Check, prepare, train, promote: the learning loop on small data, with a real MLflow."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from llm_pipeline.errors import GateFailed, ModelUnavailable, NotFound, NothingToLearn
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.steps.check import check
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.promote import Comparison, compare, promote, settle
from llm_pipeline.steps.report import report_performance, report_quality
from llm_pipeline.steps.train import Reason, train
from llm_pipeline.store import alerts, catalogue, log, models, quality, training
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import labelled, load_catalogue, merge

WHY = Reason("tests", "ann", "abc")
RIGHT: list[tuple[str, str | None]] = list(labelled(3))
# The same texts with the target of the next one in the list of the catalogue.
WRONG: list[tuple[str, str | None]] = [
    (words, RIGHT[(number + 3) % len(RIGHT)][1]) for number, (words, _) in enumerate(RIGHT)
]


@pytest.fixture
def load(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recognizer]:
    cache = tmp_path_factory.mktemp("models")
    return lambda version: bundle.load(registry.bundle(version, cache))


def _prepare(database: Database, clock: Clock) -> training.TrainingSet:
    with database.begin() as session:
        return prepare(session, "ann", clock())


def _names(database: Database, after: int = 0) -> list[str]:
    with database.read() as session:
        return [event.name for event in log.read_since(session, after)]


def _latest(database: Database) -> int:
    with database.read() as session:
        return log.latest(session)


def _train(database: Database, registry: Registry, clock: Clock) -> models.StoredModel:
    _prepare(database, clock)
    assert check(database, "training_set", "ann", clock).success
    return train(database, registry, WHY, clock)


def _settle(database: Database, registry: Registry, compared: Comparison, clock: Clock) -> bool:
    with database.begin() as session:
        return settle(session, registry, compared, "ann", clock())


def test_nothing_can_be_learned_from_nothing(
    database: Database, registry: Registry, clock: Clock
) -> None:
    with pytest.raises(NothingToLearn, match="no mapping is approved yet"):
        _prepare(database, clock)
    with pytest.raises(NothingToLearn, match="no training set is built yet"):
        train(database, registry, WHY, clock)
    assert not check(database, "training_set", "ann", clock).success


def test_a_training_set_is_the_same_whenever_it_is_read(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, RIGHT, trusted=True)
    first, again = _prepare(database, clock), _prepare(database, clock)
    merge(database, clock, [("MOON CAFE", "GS")], trusted=True)
    other = _prepare(database, clock)
    assert (first.rows, first.texts, first.targets) == (45, 45, 5)
    assert first.digest == again.digest != other.digest
    assert other.texts == 46


def test_an_unchecked_training_set_is_not_trained_on(
    database: Database, registry: Registry, clock: Clock
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, RIGHT, trusted=True)
    _prepare(database, clock)
    with pytest.raises(GateFailed, match="has not been checked"):
        train(database, registry, WHY, clock)


@pytest.mark.parametrize("harm", ["retired", "dangling"])
def test_a_failed_gate_holds_every_later_training_and_tells_once(
    database: Database, registry: Registry, clock: Clock, harm: str
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, RIGHT, trusted=True)
    with database.begin() as session:
        new = models.StoredModel("0", "r", 1, "challenger", {}, "", clock(), None)
        models.add_challenger(session, new)
        models.promote(session, "0", "", clock())
        if harm == "retired":
            catalogue.retire(session, ["GS", "UBER"], clock(), log.next_offset(session))
        else:
            session.execute(text("UPDATE mappings SET target_id = NULL WHERE id % 3 = 0"))
    _prepare(database, clock)
    before = _latest(database)
    results = [check(database, "training_set", "ann", clock) for _ in range(2)]
    assert [(result.success, result.severity) for result in results] == [(False, "critical")] * 2
    assert _names(database, before) == ["gate:checked", "alert:raised", "gate:checked"]
    with pytest.raises(GateFailed, match="the gate training_set failed at offset"):
        train(database, registry, WHY, clock)
    with database.read() as session:
        (alert,) = alerts.open_alerts(session)
        champion = models.champion(session)
        assert models.challenger(session) is None
    assert (alert.rule, alert.subject, alert.times) == ("gate_failed", "training_set", 2)
    assert champion is not None
    assert champion.version == "0"


def test_an_alert_is_resolved_when_the_gate_passes(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [*RIGHT, ("MOON CAFE", "GS")], trusted=True)
    with database.begin() as session:
        session.execute(text("UPDATE mappings SET target_id = NULL WHERE normalized = 'moon cafe'"))
    assert not check(database, "approved_mappings", "ann", clock).success
    merge(database, clock, [("MOON CAFE", "UBER")], trusted=True)
    before = _latest(database)
    assert check(database, "approved_mappings", "ann", clock).success
    assert check(database, "approved_mappings", "ann", clock).success
    assert _names(database, before) == ["gate:checked", "alert:resolved", "gate:checked"]
    with database.read() as session:
        assert alerts.open_alerts(session) == []


def test_every_suite_runs_on_what_is_stored(database: Database, clock: Clock) -> None:
    for suite in ("submissions", "approved_mappings", "predictions"):
        assert check(database, suite, "ann", clock).success, "an empty store"
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("B", None)])
    assert check(database, "submissions", "ann", clock).success
    with database.begin() as session:
        catalogue.retire(session, ["GS"], clock(), 9)
    after = check(database, "submissions", "ann", clock)
    assert after.success, "a proposal was in order when it arrived"
    with database.read() as session:
        assert len(quality.gate_history(session, "submissions")) == 3


def test_the_loop_trains_compares_and_promotes(
    database: Database, registry: Registry, load: Callable[[str], Recognizer], clock: Clock
) -> None:
    load_catalogue(database, clock)
    with pytest.raises(NotFound, match="no challenger"):
        compare(database, load)
    # A first model learns wrong labels; nothing else stands against it.
    merge(database, clock, WRONG, trusted=True)
    first = _train(database, registry, clock)
    compared = compare(database, load)
    assert (compared.champion, compared.verdict.promote) == (None, True)
    assert _settle(database, registry, compared, clock)
    assert registry.champion() == first.version
    assert (first.as_of, first.status) == (2, "challenger")

    # The right labels come; what learned from them beats it.
    merge(database, clock, RIGHT, trusted=True)
    better = _train(database, registry, clock)
    compared = compare(database, load)
    assert compared.verdict.promote
    assert _settle(database, registry, compared, clock)

    # A model of the same data is no better.
    before = _latest(database)
    equal = _train(database, registry, clock)
    compared = compare(database, load)
    assert not compared.verdict.promote
    assert not _settle(database, registry, compared, clock)
    assert _names(database, before)[-2:] == ["model:trained", "model:refused"]
    assert registry.champion() == better.version

    # An older one can be taken back; the champion again changes nothing.
    with database.begin() as session:
        for _ in range(2):
            promote(session, registry, first.version, "rollback", "ann", clock())
    with database.read() as session:
        standing = {model.version: model.status for model in models.history(session)}
        performance = report_performance(session, "ann", clock())
    assert standing == {
        first.version: "champion",
        better.version: "former",
        equal.version: "refused",
    }
    assert registry.champion() == first.version
    assert performance.verdict.startswith(f"champion {first.version}: ")
    assert [m["version"] for m in performance.content["models"]] == sorted(standing)[::-1]


def test_a_promotion_that_mlflow_refuses_changes_nothing(
    database: Database, registry: Registry, clock: Clock
) -> None:
    with database.begin() as session:
        new = models.StoredModel("999", "r", 1, "challenger", {}, "", clock(), None)
        models.add_challenger(session, new)
    with pytest.raises(ModelUnavailable), database.begin() as session:
        promote(session, registry, "999", "good", "ann", clock())
    with database.read() as session:
        assert models.champion(session) is None
        assert log.latest(session) == 0


def test_reports_say_how_things_stand(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        assert report_performance(session, "ann", clock()).verdict == "no model answers yet"
        empty = report_quality(session, "ann", clock())
    assert empty.verdict == "every checked gate passes"
    assert len(empty.content["never_checked"]) == 4
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")])
    check(database, "training_set", "ann", clock)
    check(database, "submissions", "ann", clock)
    with database.begin() as session:
        report = report_quality(session, "ann", clock())
        assert quality.latest_report(session, "quality") == report
        (told,) = log.read_since(session, report.as_of)
    assert report.verdict == told.payload["verdict"] == "failed: training_set"
    assert set(report.content["gates"]) == {"training_set", "submissions"}
    assert (report.content["open_alerts"], report.content["mappings"]["pending"]) == (1, 1)
    assert report.content["last_submission_at"] == "2026-03-02T09:00:04+00:00"
