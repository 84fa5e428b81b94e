"""Audits answered: what they change, whom they may be answered by, and what they prove."""

from datetime import timedelta

import pytest

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.records import Action
from llm_pipeline.errors import Conflict, InvalidInput, NotAllowed, NotFound, UnknownTarget
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.steps.audit import Answered, audit
from llm_pipeline.steps.control import Order, control
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.steps.hold import score_repeats
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import alerts, audits, breaker, log, mappings, watching
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.automation_factories import (
    answer_audits,
    arrive,
    proven,
    status,
    suggest,
    word,
)
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge, submission


def _drawn(store: Database, clock: Clock, text: str = "MOON CAFE", target: str = "SBUX") -> int:
    (one,) = arrive(store, clock, [text], share=1.0)
    suggest(store, [one], target)
    with store.read() as session:
        return audits.open_for(session, "eve", 0, 10_000)[-1].id


def _answer(store: Database, clock: Clock, audit_id: int, target: str | None) -> Answered:
    with store.begin() as session:
        return audit(session, audit_id, target, "eve", clock())


@pytest.mark.parametrize(
    ("said", "right", "action"),
    [("SBUX", True, Action.APPROVE), ("GS", False, Action.APPROVE), (None, False, Action.REJECT)],
)
def test_what_waits_becomes_what_the_auditor_says(
    store: Database, clock: Clock, said: str | None, right: bool, action: Action
) -> None:
    done = _answer(store, clock, _drawn(store, clock), said)
    assert (done.right, done.action) == (right, action)
    with store.read() as session:
        (told,) = log.read_since(session, 0, names=["audit:answered"])
    assert (told.payload["target"], told.payload["right"]) == (said, right)


@pytest.mark.parametrize(
    ("said", "right", "action"),
    [("SBUX", True, Action.CORRECT), ("GS", False, Action.CORRECT), (None, False, Action.REJECT)],
)
def test_what_a_policy_approved_is_corrected_or_becomes_a_persons(
    store: Database, clock: Clock, said: str | None, right: bool, action: Action
) -> None:
    policy = proven(store, clock)
    number = _drawn(store, clock)
    approve_waiting(store, "tests", clock)
    with store.read() as session:
        drawn = audits.get(session, number)
    done = _answer(store, clock, number, said)
    assert (drawn.policy_id, drawn.stratum, drawn.score) == (policy.id, "key", 0.99)
    assert (done.right, done.action) == (right, action)


def test_what_a_person_had_approved_stays_if_it_is_confirmed(store: Database, clock: Clock) -> None:
    merge(store, clock, [("MOON CAFE", "SBUX")], trusted=True)
    arrive(store, clock, [])
    (one,) = arrive(store, clock, ["MOON CAFE"], share=1.0)
    with store.read() as session:
        (waiting,) = audits.open_for(session, "eve", 0, 10)
    assert waiting.mapping_id == one
    assert _answer(store, clock, waiting.id, "SBUX").action is None


def test_a_text_that_was_rejected_meanwhile_waits_again(store: Database, clock: Clock) -> None:
    number = _drawn(store, clock)
    with store.begin() as session:
        version = mappings.get(session, 1).version
        decide(session, 1, Verdict(Action.REJECT, version, "ann"), clock())
    done = _answer(store, clock, number, "SBUX")
    assert (done.right, done.action) == (True, Action.REOPEN)


def test_the_answer_is_that_of_the_time_when_somebody_decided(
    store: Database, clock: Clock
) -> None:
    number = _drawn(store, clock)
    suggest(store, [1], "UBER", 0.7, "model")
    with store.begin() as session:
        version = mappings.get(session, 1).version
        decide(session, 1, Verdict(Action.CORRECT, version, "ann", "GS"), clock())
    suggest(store, [1], "GS")
    with store.read() as session:
        drawn = audits.get(session, number)
    assert (drawn.stratum, drawn.score) == ("model", 0.7)
    assert _answer(store, clock, number, "GS").right is False


def test_whoever_decided_cannot_audit(store: Database, clock: Clock) -> None:
    number = _drawn(store, clock)
    with store.begin() as session:
        version = mappings.get(session, 1).version
        decide(session, 1, Verdict(Action.APPROVE, version, "eve"), clock())
        assert audits.open_for(session, "eve", 0, 10) == []
        assert len(audits.open_for(session, "ann", 0, 10)) == 1
    with pytest.raises(NotAllowed, match="eve decided about mapping 1"):
        _answer(store, clock, number, "SBUX")


def test_who_decided_about_one_text_may_audit_another(store: Database, clock: Clock) -> None:
    one = _drawn(store, clock)
    other = _drawn(store, clock, "SUN CAFE")
    with store.begin() as session:
        version = mappings.get(session, 1).version
        decide(session, 1, Verdict(Action.APPROVE, version, "eve"), clock())
        assert [a.id for a in audits.open_for(session, "eve", 0, 10)] == [other]
        assert {a.id for a in audits.open_for(session, "ann", 0, 10)} == {one, other}
    assert _answer(store, clock, other, "SBUX").right


def test_repeats_of_what_a_policy_approved_are_that_policys(store: Database, clock: Clock) -> None:
    policy = proven(store, clock)
    merge(store, clock, [("SUN CAFE", "UBER")], trusted=True)
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX")
    approve_waiting(store, "tests", clock)
    with store.begin() as session:
        new = submit(session, submission("STAR CAFE"), "ann", clock())
        decide(session, new.id, Verdict(Action.CORRECT, 1, "ann", "GS"), clock())
    before = clock()
    arrive(store, clock, ["MOON CAFE", "SUN CAFE", "STAR CAFE"], share=1.0)
    serving = Serving(lambda _version: pytest.fail("there is no model"))
    with store.begin() as session:
        serving.refresh(session)
        assert score_repeats(session, serving.recognize) == 2
    answer_audits(store, clock, lambda _text: "GS")
    with store.read() as session:
        found = {
            e.stratum: (e.policy_id, e.wrong) for e in audits.evidence(session, before, clock())
        }
        kinds = [e.policy_id for e in audits.evidence(session, before, clock())]
    assert sorted(kinds, key=str) == [policy.id, None, None]
    assert found["key"] == (policy.id, True)
    assert found["exact"][0] is None


def test_an_audit_is_answered_once(store: Database, clock: Clock) -> None:
    number = _drawn(store, clock)
    with pytest.raises(NotFound):
        _answer(store, clock, 99, "SBUX")
    with pytest.raises(UnknownTarget):
        _answer(store, clock, number, "NOPE")
    _answer(store, clock, number, "SBUX")
    with pytest.raises(Conflict, match="was answered at"):
        _answer(store, clock, number, "SBUX")


def test_a_text_without_an_answer_is_no_evidence(store: Database, clock: Clock) -> None:
    (one,) = arrive(store, clock, ["MOON CAFE"], share=1.0)
    suggest(store, [one], None)
    answer_audits(store, clock, lambda _text: "SBUX")
    with store.read() as session:
        assert audits.answered_count(session) == 1
        assert audits.evidence(session, clock() - timedelta(days=1), clock()) == []


def _wrong_batch(store: Database, clock: Clock, number: int) -> list[int]:
    """Texts that the policy approves although they mean something else, all audited."""
    ids = arrive(store, clock, [f"BAD {word(n)}" for n in range(number)], share=1.0)
    suggest(store, ids, "SBUX")
    approve_waiting(store, "tests", clock)
    return ids


def test_audits_that_say_the_bound_is_broken_stop_automatic_approval(
    store: Database, clock: Clock
) -> None:
    policy = proven(store, clock)
    ids = _wrong_batch(store, clock, 20)
    assert {status(store, one)[0] for one in ids} == {"auto_approved"}
    answer_audits(store, clock, lambda _text: "GS")
    with store.read() as session:
        (stop,) = breaker.open_stops(session)
        (alert,) = alerts.open_alerts(session)
        watched = watching.watch(session, clock())
    assert (stop.cause, stop.policy_id) == (Cause.AUDITS, policy.id)
    assert "are wrong: the audits favour a broken bound" in stop.reason
    assert stop.reason in alert.message
    assert watched is not None
    (late,) = arrive(store, clock, ["SUN CAFE"])
    suggest(store, [late], "SBUX")
    assert approve_waiting(store, "tests", clock).held == stop.reason
    assert status(store, late)[0] == "pending"


def test_a_good_past_does_not_hide_a_sudden_fault(store: Database, clock: Clock) -> None:
    proven(store, clock)
    ids = arrive(store, clock, [f"FINE {word(n)}" for n in range(300)], share=1.0)
    suggest(store, ids, "SBUX")
    assert approve_waiting(store, "tests", clock).approved >= 300
    answer_audits(store, clock, lambda _text: "SBUX")
    with store.begin() as session:
        fit_policy(session, Wish(), "tests", clock(), "tests")
    _wrong_batch(store, clock, 4)
    answer_audits(store, clock, lambda _text: "GS")
    with store.read() as session:
        (stop,) = breaker.open_stops(session)
    assert "2 of 2 audited automatic approvals are wrong" in stop.reason


def _stopped_by_audits(store: Database, clock: Clock) -> None:
    proven(store, clock)
    _wrong_batch(store, clock, 10)
    answer_audits(store, clock, lambda _text: "GS")


def test_only_new_audits_let_it_go_on(store: Database, clock: Clock) -> None:
    _stopped_by_audits(store, clock)
    with store.begin() as session:
        fitted = fit_policy(session, Wish(), "tests", clock(), "tests")
        assert fitted.evidence["missing"] == 149, "the old ones do not count"
        assert len(breaker.open_stops(session)) == 1
    ids = arrive(store, clock, [f"GOOD {word(n)}" for n in range(160)], share=1.0)
    suggest(store, ids, "SBUX")
    answer_audits(store, clock, lambda _text: "SBUX")
    with store.begin() as session:
        fit_policy(session, Wish(), "tests", clock(), "tests")
        assert breaker.open_stops(session) == []
        assert alerts.open_alerts(session) == []
        (told,) = log.read_since(session, 0, names=["automation:resumed"])
    assert "new audits prove the bound: 160 audits, 0 errors" in told.payload["reason"]
    assert approve_waiting(store, "tests", clock).approved == 160


def test_an_admin_lets_it_go_on_with_a_reason(store: Database, clock: Clock) -> None:
    _stopped_by_audits(store, clock)
    for order in (Order(True, True, "both"), Order(False, True, " "), Order(True, False, "")):
        with pytest.raises(InvalidInput), store.begin() as session:
            control(session, order, "root", clock())
    with store.begin() as session:
        control(session, Order(False, True, "the batch is revoked"), "root", clock())
        assert breaker.open_stops(session) == []
        fitted = fit_policy(session, Wish(0.2), "root", clock(), "tests")
        assert fitted.evidence["missing"] == 0, "the old audits count again"
        watched = watching.watch(session, clock())
        (ended,) = breaker.history(session)
    assert ended.resumed_by_person
    assert watched is not None
    assert watched[0].audits == 0, "the watch begins anew"


def test_a_person_stops_it(store: Database, clock: Clock) -> None:
    with store.begin() as session:
        control(session, Order(False, False, ""), "root", clock())
        control(session, Order(True, False, "holidays"), "root", clock())
        control(session, Order(True, False, "holidays"), "root", clock())
        (stop,) = breaker.open_stops(session)
    assert (stop.cause, stop.subject, stop.reason) == (Cause.PERSON, "root", "holidays")


def test_overdue_audits_stop_it_until_they_are_answered(store: Database, clock: Clock) -> None:
    proven(store, clock)
    arrive(store, clock, [f"LATE {word(n)}" for n in range(60)], share=1.0)
    clock.time += timedelta(hours=80)
    done = approve_waiting(store, "tests", clock)
    assert done.held == "60 of 260 audits due in the last 30 days are not answered"
    answer_audits(store, clock, lambda _text: "SBUX")
    assert approve_waiting(store, "tests", clock).held == ""


def test_an_overdue_audit_counts_as_wrong(store: Database, clock: Clock) -> None:
    proven(store, clock)
    ids = arrive(store, clock, [f"LATE {word(n)}" for n in range(10)], share=1.0)
    suggest(store, ids, "SBUX")
    clock.time += timedelta(hours=80)
    with store.begin() as session:
        policy = fit_policy(session, Wish(), "tests", clock(), "tests")
    assert policy.evidence["overdue"] == 10
    assert policy.rule["limit"] is None
    assert (
        policy.evidence["sentence"] == "210 audits, 10 errors: 635 more without an error are needed"
    )


@pytest.mark.parametrize(
    ("rule", "subject", "stops"),
    [
        ("gate_failed", "predictions", True),
        ("component_down", "dagster", True),
        ("drift", "submissions", True),
        ("run_failed", "recognition", True),
        ("run_failed", "learning", False),
        ("other", "thing", False),
    ],
)
def test_what_fails_stops_it_until_it_is_over(
    store: Database, clock: Clock, rule: str, subject: str, stops: bool
) -> None:
    proven(store, clock)
    with store.begin() as session:
        alerts.raise_once(session, alerts.Finding(rule, subject, "critical", "it broke"), clock())
    assert (approve_waiting(store, "tests", clock).held == "it broke") == stops
    with store.begin() as session:
        control(session, Order(False, True, "never mind"), "root", clock())
        assert bool(breaker.open_stops(session)) == stops, "it still fails"
        alerts.resolve(session, rule, subject, clock())
    if not stops:
        return
    done = approve_waiting(store, "tests", clock)
    assert (done.held, done.approved) == ("", 200)
    with store.read() as session:
        told = log.read_since(session, 0, names=["automation:resumed"])
    assert told[-1].payload["reason"] == f"the alert {rule} {subject} is over"
    assert not told[-1].payload["still_stopped"]


def test_a_warning_stops_nothing(store: Database, clock: Clock) -> None:
    proven(store, clock)
    with store.begin() as session:
        alerts.raise_once(session, alerts.Finding("drift", "x", "warning", "so"), clock())
    assert approve_waiting(store, "tests", clock).held == ""


def test_the_share_of_audits_follows_what_arrives(store: Database, clock: Clock) -> None:
    policy = proven(store, clock)
    assert policy.share == 0.1, "200 submissions a year are too few for less"
    assert policy.audits == 200
