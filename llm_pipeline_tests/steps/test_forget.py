"""Old things go and nothing that is needed does: the log's beginning, results, ended sessions."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from llm_pipeline.domain.gate import FailingRow
from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.domain.learning_events import ModelRefused
from llm_pipeline.domain.records import GateResult, Role
from llm_pipeline.errors import Conflict, Gone
from llm_pipeline.steps.forget import Ages, Forgotten, forget
from llm_pipeline.steps.observe import Observation, observe
from llm_pipeline.steps.promote import promote
from llm_pipeline.steps.subscribe import subscribe
from llm_pipeline.store import (
    components,
    credentials,
    failing_rows,
    forgetting,
    idempotency,
    log,
    metrics,
    models,
    quality,
    training,
)
from llm_pipeline.store.engine import Database
from llm_pipeline.store.schema import events, idempotency_keys
from llm_pipeline.store.schema_operations import gate_results, gate_rows, leases, reports
from llm_pipeline.store.schema_operations import models as model_rows
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import labelled, load_catalogue, merge

DAYS = Ages(*(timedelta(days=days) for days in (400, 90, 30, 90)))
YEARS = timedelta(days=800)


@pytest.fixture
def clear(database: Database, parts: Parts, clock: Clock) -> Callable[[], Forgotten]:
    return lambda: forget(database, parts.registry, DAYS, "tests", clock)


def append(database: Database, clock: Clock, number: int) -> None:
    with database.begin() as session:
        for _ in range(number):
            log.append(session, clock(), ModelRefused("tests", "1", "0", ""))


def trained(database: Database, clock: Clock, version: str, as_of: int) -> None:
    new = models.StoredModel(version, "run", as_of, "challenger", {}, "", clock(), None)
    with database.begin() as session:
        models.add_challenger(session, new)
        models.promote(session, version, "", clock())


def offsets(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(events.c.offset).order_by(events.c.offset)))


def test_the_beginning_of_the_log_goes_and_the_rest_has_no_gaps(
    database: Database,
    clock: Clock,
    clear: Callable[[], Forgotten],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forgetting, "CHUNK", 2)
    append(database, clock, 7)
    clock.time += YEARS
    append(database, clock, 3)
    trained(database, clock, "1", 9)
    done = clear()
    assert (done.events, done.first_offset) == (7, 8)
    # The last is the event that tells of it, under the next number.
    assert offsets(database) == [8, 9, 10, 11]
    with database.read() as session:
        [told] = log.newest(session, 1)
        assert (told.name, told.payload["first_offset"]) == ("history:forgotten", 8)
        assert log.first(session) == 8
        log.demand(session, 7)
        with pytest.raises(Gone, match=r"the events 7 to 7 are deleted\. Take GET /api/llm/state"):
            log.demand(session, 6)
    assert clear().events == 0
    assert offsets(database) == [8, 9, 10, 11]


def test_the_newest_event_and_those_since_the_last_training_stay(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    append(database, clock, 5)
    clock.time += YEARS
    assert clear().events == 0  # no model was trained yet
    trained(database, clock, "1", 3)
    assert clear().events == 3
    trained(database, clock, "2", 99)
    append(database, clock, 1)
    clock.time += YEARS
    clear()
    with database.read() as session:
        assert log.latest(session) == log.first(session) + 1  # and the one that told of it


def test_what_webhooks_were_not_handed_yet_stays(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    append(database, clock, 2)
    with database.begin() as session:
        subscribe(session, "https://93.184.215.14/", (), bytes, "ann", clock())
    append(database, clock, 2)
    trained(database, clock, "1", 5)
    clock.time += YEARS
    assert clear().first_offset == 3


def test_training_rows_at_an_offset_that_is_deleted_stay_the_same(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, list(labelled(1)), trusted=True)
    with database.read() as session:
        as_of = log.latest(session)
        before = training.live_texts(session, as_of)
    trained(database, clock, "1", as_of)
    merge(database, clock, [(text, "GS") for text, _ in labelled(1)], trusted=True)
    clock.time += YEARS
    append(database, clock, 1)
    trained(database, clock, "2", as_of + 2)
    assert clear().first_offset > as_of
    with database.read() as session:
        after = training.live_texts(session, as_of)
        assert not after.equals(training.live_texts(session, log.latest(session)))
    assert len(before) == 15
    assert after.equals(before)


def test_the_newest_results_stay_and_old_ones_go(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    def write() -> None:
        with database.begin() as session:
            for suite in ("submissions", "training_set"):
                quality.save_gate(session, GateResult(suite, True, "", 1, 1), 1, clock())
            quality.save_report(session, "insights", 1, "", {}, clock())
            metrics.add(session, "gpu", {"heat": 60.0}, clock())

    write()
    write()
    clock.time += timedelta(days=91)
    done = clear()
    assert (done.gate_results, done.reports, done.metrics) == (2, 1, 2)
    write()
    again = clear()
    assert (again.gate_results, again.reports, again.metrics) == (2, 1, 0)
    assert clear() == Forgotten(0, 1, *[0] * 10)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(gate_results)) == 2
        assert session.scalar(select(func.count()).select_from(reports)) == 1


def test_the_rows_that_old_results_name_go_with_them(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    failing = FailingRow("submission", "7", "the text is blank", "critical", "")
    with database.begin() as session:
        for _ in range(2):
            failed = GateResult("submissions", False, "critical", 1, 1)
            result_id = quality.save_gate(session, failed, 1, clock())
            failing_rows.keep(session, result_id, "submissions", [failing])
    clock.time += timedelta(days=91)
    assert clear().gate_results == 1
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(gate_rows)) == 1


def test_what_components_were_long_ago_goes_but_not_how_they_are(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    with database.begin() as session:
        for status in (Health.OK, Health.DOWN):
            seen = Seen("Disk", status, "told")
            observe(session, [Observation(seen, clock())], "tests", clock())
    clock.time += YEARS
    assert clear().component_changes == 1
    with database.read() as session:
        assert [one.status for one in components.history(session, 9)["Disk"]] == [Health.DOWN]


def test_what_ended_goes_and_what_is_valid_stays(
    database: Database, clock: Clock, clear: Callable[[], Forgotten]
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", None)])
    ann, at = credentials.Identity("ann", Role.VIEWER), clock()
    with database.begin() as session:
        credentials.add(session, "session", "old", ann, at, at + timedelta(hours=12))
        credentials.add(session, "token", "for ever", ann, at)
        idempotency.save(session, "ann", "key", idempotency.Answered("d", 1), at)
        session.execute(insert(leases).values(key="a", holder="ann", expires_at=at))
    clock.time += timedelta(days=29)
    assert clear().idempotency_keys == 0
    clock.time += timedelta(days=2)
    done = clear()
    assert (done.credentials, done.idempotency_keys, done.leases) == (1, 1, 1)
    with database.read() as session:
        assert credentials.find(session, "token", "for ever", clock()) == ann
        assert session.scalar(select(func.count()).select_from(idempotency_keys)) == 0


def test_a_model_that_lost_goes_with_its_files_and_one_that_answered_stays(
    parts: Parts, clock: Clock, tmp_path: Path
) -> None:
    from llm_pipeline.runs import TrainingRecord, VariantRecord

    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "weights").write_bytes(b"1" * 1000)
    variants = [VariantRecord("memory", {}, {"accuracy": 0.5})]
    record = TrainingRecord({}, {"accuracy": 0.9}, folder, "d", "1", ["a"], variants=variants)
    made = [parts.registry.log_training(record) for _ in range(3)]
    for one in made:
        new = models.StoredModel(one.version, one.run_id, 1, "challenger", {}, "", clock(), None)
        with parts.begin() as session:
            models.add_challenger(session, new)
            if one is made[0]:
                promote(session, parts.registry, one.version, "first", "ann", clock())
    with parts.begin() as session:
        models.refuse(session, "3", "worse")
        session.execute(
            update(model_rows)
            .where(model_rows.c.version == "3")
            .values(trained_at=clock.time + timedelta(days=50))
        )
    root = parts.settings.path("mlartifacts")
    size = sum(1 for file in root.rglob("weights") if file.is_file())
    clock.time += timedelta(days=100)
    assert forget(parts.database, parts.registry, DAYS, "tests", clock).models == 1
    assert sum(1 for file in root.rglob("weights") if file.is_file()) == size - 1
    assert [one.version for one in parts.registry.versions()] == ["3", "1"]
    with parts.begin() as session:
        assert [one.status for one in models.history(session)] == [
            "refused",
            "forgotten",
            "champion",
        ]
        with pytest.raises(Conflict, match="its files are deleted"):
            promote(session, parts.registry, "2", "again", "ann", clock())
    assert forget(parts.database, parts.registry, DAYS, "tests", clock).models == 0
    # A deletion that broke off goes on where it was.
    parts.registry.forget("2", made[1].run_id)
