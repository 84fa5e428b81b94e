"""Automatic approval as Dagster runs it: sensors ask, assets do."""

from dagster import DagsterInstance, Definitions, RunRequest, SkipReason, TableMetadataValue

from llm_pipeline.defs.resources import Pipeline
from llm_pipeline.defs.sensors import enough_audits, new_submissions, policy_changed
from llm_pipeline.domain.automation import Cause
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.store import breaker, holding
from llm_pipeline.store.holding import Held
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.automation_factories import (
    answer_audits,
    arrive,
    proven,
    proven_but_for_names,
    suggest,
    word,
)
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.defs.running import metadata, run, tick
from llm_pipeline_tests.factories import merge


def test_answered_audits_ask_for_a_policy_which_then_approves(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    pipeline: Pipeline,
    clock: Clock,
) -> None:
    database = filled.database
    assert isinstance(tick(enough_audits, instance, pipeline, definitions), SkipReason)
    ids = arrive(database, clock, [f"CAFE {word(n)}" for n in range(160)], share=1.0)
    suggest(database, ids, "SBUX")
    answer_audits(database, clock, lambda _text: "SBUX")

    asked = tick(enough_audits, instance, pipeline, definitions)
    fitted = run(definitions, instance, "policy")
    approval = tick(policy_changed, instance, pipeline, definitions)
    approved = run(definitions, instance, "approval")

    assert isinstance(asked, RunRequest)
    assert asked.tags["llm_pipeline/reason"] == "160 newly answered audits"
    because = "160 audits, 0 errors, at most 1.8 % wrong with 95 % confidence"
    assert metadata(fitted, "approval_policy")["because"] == because
    assert isinstance(approval, RunRequest)
    shown = metadata(approved, "automatic_approvals")
    assert (shown["approved"], shown["policy"], shown["held"]) == (160, 1, "")
    assert isinstance(tick(enough_audits, instance, pipeline, definitions), SkipReason)
    assert isinstance(tick(policy_changed, instance, pipeline, definitions), SkipReason)


def test_recognition_draws_audits_and_approves_behind_its_gate(
    definitions: Definitions, instance: DagsterInstance, filled: Parts, clock: Clock
) -> None:
    proven(filled.database, clock, probability=0.8)
    arrive(filled.database, clock, ["UBER TRIP BOSTON 5550 CA"])
    result = run(definitions, instance, "recognition")
    assert result.success
    shown = metadata(result, "automatic_approvals")
    assert (shown["looked_at"], shown["approved"]) == (201, 1)


def test_the_policy_of_a_run_says_what_it_leaves_out(
    definitions: Definitions, instance: DagsterInstance, filled: Parts, clock: Clock
) -> None:
    proven_but_for_names(filled.database, clock)
    shown = metadata(run(definitions, instance, "policy"), "approval_policy")
    said = shown["leaves_out"]
    assert isinstance(said, TableMetadataValue)
    (left,) = said.records
    assert left.data["stratum"] == "names"
    assert "left out: wrong in 5 of 20 audits" in str(left.data["because"])


def test_recognition_holds_doubtful_repeats(
    definitions: Definitions, instance: DagsterInstance, filled: Parts, clock: Clock
) -> None:
    database = filled.database
    arrive(database, clock, ["A FIRST LOT"])
    merge(database, clock, [("MOON CAFE", "SBUX")], trusted=True)
    with database.begin() as session:
        fit_policy(session, Wish(), "tests", clock(), "tests")
    merge(database, clock, [("MOON CAFE", None)] * 2)
    result = run(definitions, instance, "recognition")
    assert result.success
    assert metadata(result, "recognized_submissions")["repeats_held"] == 2
    with database.read() as session:
        assert holding.held(session) == Held(1, 2), "approved once only, and nothing is proven"


def test_repeats_alone_ask_for_recognition_once(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    pipeline: Pipeline,
    clock: Clock,
) -> None:
    merge(filled.database, clock, [("MOON CAFE", "SBUX")], trusted=True)
    assert run(definitions, instance, "recognition").success
    before = tick(new_submissions, instance, pipeline, definitions)
    merge(filled.database, clock, [("MOON CAFE", None)] * 2)
    first, again = (tick(new_submissions, instance, pipeline, definitions) for _ in range(2))
    assert run(definitions, instance, "recognition").success
    after = tick(new_submissions, instance, pipeline, definitions)
    assert isinstance(before, SkipReason)
    assert isinstance(first, RunRequest)
    assert isinstance(again, RunRequest)
    assert first.run_key == again.run_key
    assert isinstance(after, SkipReason)


def test_what_resumes_is_asked_for_again(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    pipeline: Pipeline,
    clock: Clock,
) -> None:
    proven(filled.database, clock)
    before = tick(policy_changed, instance, pipeline, definitions)
    with filled.begin() as session:
        breaker.stop(session, Cause.PERSON, "", "a look first", "ann", clock())
    stopped = tick(policy_changed, instance, pipeline, definitions)
    with filled.begin() as session:
        (stop,) = breaker.open_stops(session)
        breaker.resume(session, stop, "looked", "ann", clock(), by_person=True)
    after = tick(policy_changed, instance, pipeline, definitions)
    assert isinstance(before, RunRequest)
    assert isinstance(stopped, SkipReason)
    assert "a look first" in str(stopped.skip_message)
    assert isinstance(after, RunRequest)
    assert before.run_key != after.run_key
