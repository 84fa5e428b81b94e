"""The pipeline as Dagster runs it: real materialisations over a temporary installation."""

from pathlib import Path

from dagster import (
    AssetKey,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    SkipReason,
    build_run_status_sensor_context,
    build_schedule_context,
)
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import bindparam, text

from llm_pipeline.defs.jobs import nightly_learning
from llm_pipeline.defs.resources import Pipeline
from llm_pipeline.defs.sensors import new_submissions, run_canceled, wanted_learning
from llm_pipeline.domain.records import Action
from llm_pipeline.domain.triggers import QUIET, Trigger
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.steps.want_learning import ask
from llm_pipeline.store import alerts, catalogue, log, mappings, models, quality, wishes
from llm_pipeline.store.columns import UTCDateTime
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.defs.running import metadata, run, tick
from llm_pipeline_tests.factories import ingest_rows, submission

SPEC_ASSETS = {
    "submissions",
    "recognized_submissions",
    "automatic_approvals",
    "approval_policy",
    "challenger_shadow",
    "approved_mappings",
    "training_set",
    "trained_model",
    "champion_model",
    "model_evaluation",
    "quality_report",
    "performance_report",
    "insights",
    "drift",
    "label_errors",
    "forgotten",
}


def test_every_asset_of_the_specification_is_there(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == SPEC_ASSETS


def test_every_suite_has_a_blocking_check(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    names = {key.name for key in graph.asset_check_keys if graph.get(key).blocking}
    assert {f"gate_{suite}" for suite in SUITES} <= names


def test_sensors_and_schedules_run_by_themselves(definitions: Definitions) -> None:
    repository = definitions.get_repository_def()
    assert {s.default_status.value for s in repository.sensor_defs} == {"RUNNING"}
    assert {s.default_status.value for s in repository.schedule_defs} == {"RUNNING"}


def test_learning_makes_the_first_model_champion(
    definitions: Definitions, instance: DagsterInstance, filled: Parts
) -> None:
    result = run(definitions, instance, "learning")

    assert result.success
    assert metadata(result, "champion_model")["promoted"] is True
    assert metadata(result, "training_set")["texts"] == 60
    with filled.read() as session:
        champion = models.champion(session)
    assert champion is not None
    assert filled.registry.champion() == champion.version


def test_learning_ends_with_an_evaluation_that_says_where_the_model_is_weak(
    definitions: Definitions, instance: DagsterInstance, filled: Parts
) -> None:
    result = run(definitions, instance, "learning")

    shown = metadata(result, "model_evaluation")
    done = [event.step_key for event in result.all_events if event.is_step_success]
    with filled.read() as session:
        report = quality.latest_report(session, "evaluation")
    assert report is not None
    assert shown["verdict"] == report.verdict
    assert shown["progressive_rows"] == 60.0
    assert {
        "slices",
        "weak_slices",
        "worst_targets",
        "confusions",
        "surest_wrong_answers",
    } <= shown.keys()
    assert done[-1] == "model_evaluation"


def test_nothing_waits_for_the_evaluation(definitions: Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    evaluation = graph.get(AssetKey("model_evaluation"))
    assert AssetKey("champion_model") in evaluation.parent_keys
    assert evaluation.child_keys == set()
    assert not any(key.asset_key == evaluation.key for key in graph.asset_check_keys)


def test_an_equal_challenger_does_not_replace_the_champion(
    definitions: Definitions, instance: DagsterInstance, filled: Parts
) -> None:
    run(definitions, instance, "learning")
    result = run(definitions, instance, "learning")

    checked = {e.check_name: e.passed for e in result.get_asset_check_evaluations()}
    assert result.success
    assert checked["challenger_beats_champion"] is False
    assert metadata(result, "champion_model")["champion"] == "1"
    with filled.read() as session:
        (refused,) = log.read_since(session, 0, names=["model:refused"])
    newest, *_ = filled.registry.versions()
    assert newest.tags["decision"] == "refused"
    assert newest.tags["decision_reason"] == refused.payload["reason"]
    assert newest.metrics["versus_only_champion"] == 0.0
    assert refused.payload["comparison"]["versus_p_of_loss"] == 1.0


def test_a_failing_gate_holds_what_is_downstream_in_this_run_and_in_later_ones(
    definitions: Definitions, instance: DagsterInstance, filled: Parts, clock: Clock
) -> None:
    run(definitions, instance, "learning")
    with filled.begin() as session:
        catalogue.retire(session, ["GS", "NFLX"], clock(), log.next_offset(session))

    failed = run(definitions, instance, "learning")
    later = run(definitions, instance, "learning", "trained_model")

    assert not failed.success
    assert not later.success
    assert not failed.asset_materializations_for_node("trained_model")
    with filled.read() as session:
        champion = models.champion(session)
        (alert,) = alerts.open_alerts(session)
        gate = quality.latest_gate(session, "training_set")
        checked = log.read_since(session, 0, names=["gate:checked"])
    assert champion is not None
    assert champion.version == "1"
    assert "training_set" in alert.message
    assert gate is not None
    assert not gate.success
    assert any("retired" in str(event.payload["failures"]) for event in checked)


def test_recognition_suggests_a_target_for_what_waits(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    clock: Clock,
    tmp_path: Path,
) -> None:
    run(definitions, instance, "learning")
    rows = [("UBER TRIP 77 QUITO CA", ""), ("NETFLIX COM MINSK", "")]
    ingest_rows(filled.database, clock, tmp_path, rows, name="new.csv")

    result = run(definitions, instance, "recognition")

    assert metadata(result, "recognized_submissions")["recognized"] == 2
    with filled.read() as session:
        waiting = mappings.page(session, mappings.Filter(q="minsk"), None, 10).items
    assert [mapping.suggested_target for mapping in waiting] == ["NFLX"]


def test_reports_materialise_with_their_verdicts(
    definitions: Definitions, instance: DagsterInstance, filled: Parts
) -> None:
    run(definitions, instance, "learning")
    result = run(definitions, instance, "reports")
    assert metadata(result, "quality_report")["verdict"] == "every checked gate passes"
    assert "30 are needed" in str(metadata(result, "insights")["verdict"])


def test_a_label_audit_lists_labels_for_review(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    clock: Clock,
    tmp_path: Path,
) -> None:
    wrong = [("UBER TRIP LIMA NORTH CA", "NFLX")]
    ingest_rows(filled.database, clock, tmp_path, wrong, approved=True, name="wrong.csv")
    run(definitions, instance, "learning", "approved_mappings", "training_set")

    result = run(definitions, instance, "label_audit")

    shown = metadata(result, "label_errors")
    assert result.success
    assert shown["texts"] == 61
    assert isinstance(shown["doubted"], int)


def test_new_submissions_start_recognition_once_per_offset(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    pipeline: Pipeline,
    clock: Clock,
) -> None:
    assert run(definitions, instance, "recognition").success
    assert isinstance(tick(new_submissions, instance, pipeline, definitions), SkipReason)
    with filled.begin() as session:
        submit(session, submission("LYFT RIDE 12"), "tests", clock())

    asked = tick(new_submissions, instance, pipeline, definitions)
    again = tick(new_submissions, instance, pipeline, definitions)

    assert isinstance(asked, RunRequest)
    assert isinstance(again, RunRequest)
    assert asked.run_key == again.run_key


def test_enough_decisions_start_learning_once(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    pipeline: Pipeline,
    clock: Clock,
) -> None:
    run(definitions, instance, "learning")
    asked = []
    for number in range(3):
        asked.append(tick(wanted_learning, instance, pipeline, definitions))
        with filled.begin() as session:
            waiting = submit(session, submission(f"LYFT RIDE {number}"), "tests", clock())
            verdict = Verdict(Action.APPROVE, waiting.version, "tests", target="UBER")
            decide(session, waiting.id, verdict, clock())
    asked.append(tick(wanted_learning, instance, pipeline, definitions))
    with filled.begin() as session:
        (wish,) = wishes.waiting(session)
        early = text("UPDATE wanted_trainings SET wanted_at = :at").bindparams(
            bindparam("at", wish.wanted_at - QUIET, UTCDateTime)
        )
        session.execute(early)
    first, again = (tick(wanted_learning, instance, pipeline, definitions) for _ in range(2))

    assert all(isinstance(answer, SkipReason) for answer in asked)
    assert isinstance(first, RunRequest)
    assert isinstance(again, RunRequest)
    assert first.run_key == again.run_key == f"learning-{wish.id}"
    assert first.tags["llm_pipeline/reason"].startswith("3 texts approved up to offset")


def test_a_run_answers_what_was_wanted_and_says_what_came_of_it(
    definitions: Definitions, instance: DagsterInstance, filled: Parts, clock: Clock
) -> None:
    with filled.begin() as session:
        ask(session, "a new month", "ann", clock())
    result = run(definitions, instance, "learning")
    with filled.read() as session:
        (wish,) = wishes.history(session)
    assert wish.run_id == result.run_id
    assert (wish.outcome, wish.kind) == ("promoted", Trigger.PERSON)
    assert "a new month" in str(metadata(result, "training_set")["wanted"])


def test_a_cancelled_training_can_be_asked_for_again(
    instance: DagsterInstance, filled: Parts, pipeline: Pipeline, clock: Clock
) -> None:
    run = create_run_for_test(instance, "learning", status=DagsterRunStatus.CANCELED)
    with filled.begin() as session:
        ask(session, "a new month", "ann", clock())
        wishes.take_up(session, run.run_id, clock())
    event = DagsterEvent(DagsterEventType.RUN_CANCELED.value, run.job_name, message="cancelled")
    context = build_run_status_sensor_context(
        "run_canceled", event, instance, run, resources={"pipeline": pipeline}
    )
    with context:
        run_canceled(context)
    with filled.begin() as session:
        assert wishes.history(session)[0].outcome == "cancelled"
        ask(session, "once more", "ann", clock())


def test_every_night_wants_one_training(
    instance: DagsterInstance, filled: Parts, pipeline: Pipeline, clock: Clock
) -> None:
    for _ in range(2):
        context = build_schedule_context(
            instance, scheduled_execution_time=clock(), resources={"pipeline": pipeline}
        )
        with context:
            assert isinstance(nightly_learning(context), SkipReason)
    with filled.read() as session:
        (wish,) = wishes.waiting(session)
    assert (wish.kind, wish.reason) == (Trigger.SCHEDULE, "night of 2026-03-02")


def test_retention_tells_what_it_deleted(
    definitions: Definitions, instance: DagsterInstance, filled: Parts
) -> None:
    result = run(definitions, instance, "retention")
    assert result.success
    assert metadata(result, "forgotten") == {
        "first_offset": 1,
        **dict.fromkeys(
            (
                "events",
                "gate_results",
                "reports",
                "metrics",
                "deliveries",
                "component_changes",
                "idempotency_keys",
                "credentials",
                "leases",
                "shadow_answers",
                "models",
            ),
            0,
        ),
    }
