"""What a policy approves, and what it leaves to people."""

import pytest
from sqlalchemy import func, select

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.records import Action, Submission
from llm_pipeline.steps.approve import approve_one, approve_waiting
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import (
    activity,
    breaker,
    catalogue,
    history,
    log,
    mappings,
    training,
)
from llm_pipeline.store.engine import Database
from llm_pipeline.store.schema import decisions
from llm_pipeline_tests.automation_factories import arrive, proven, status, suggest
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge


def test_without_a_policy_nothing_is_approved(store: Database, clock: Clock) -> None:
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX", 1.0)
    done = approve_waiting(store, "tests", clock)
    assert (done.approved, done.held) == (0, "no policy was fitted yet")
    assert status(store, one) == ("pending", None)


def test_without_evidence_a_policy_approves_nothing_and_says_what_is_missing(
    store: Database, clock: Clock
) -> None:
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX", 1.0)
    with store.begin() as session:
        policy = fit_policy(session, Wish(), "tests", clock(), "tests")
    assert approve_waiting(store, "tests", clock).approved == 0
    assert policy.evidence["missing"] == 149


def test_what_audits_prove_is_live_at_once_and_says_why(store: Database, clock: Clock) -> None:
    policy = proven(store, clock)
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX")
    with store.read() as session:
        before = log.latest(session)

    done = approve_waiting(store, "tests", clock)

    assert status(store, one) == ("auto_approved", "SBUX")
    with store.read() as session:
        told = [e for e in log.read_since(session, before) if e.name == "mapping:auto_approved"]
        (decision,) = history.decided(session, one)
        live = mappings.live(session, "moon cafe")
    assert live is not None
    assert decision["actor"] == f"policy {policy.id}"
    assert (told[-1].payload["policy_id"], told[-1].payload["model_version"]) == (policy.id, "1")
    assert "200 audits, 0 errors, at most 1.5 % wrong with 95 % confidence" in decision["reason"]
    assert done.policy_id == policy.id


def test_a_single_text_is_approved_in_the_transaction_that_brought_it(
    store: Database, clock: Clock
) -> None:
    proven(store, clock)
    approve_waiting(store, "tests", clock)
    one, other = arrive(store, clock, ["MOON CAFE", "SUN CAFE"])
    suggest(store, [one], "SBUX")
    suggest(store, [other], "SBUX", 0.5)
    with store.begin() as session:
        assert approve_one(session, one, "tests", clock())
        assert not approve_one(session, other, "tests", clock())
        assert not approve_one(session, one, "tests", clock()), "it waits no more"
        told = log.read_since(session, 0, names=["mapping:auto_approved"])[-1]
    assert told.payload["text"] == "MOON CAFE"
    assert told.payload["target"] == "SBUX"


@pytest.mark.parametrize(
    "case",
    ["unsure", "other stratum", "no answer", "conflict", "other proposal", "live", "retired"],
)
def test_what_a_person_has_to_look_at_waits(store: Database, clock: Clock, case: str) -> None:
    proven(store, clock)
    approve_waiting(store, "tests", clock)
    if case == "live":
        merge(store, clock, [("MOON CAFE", "UBER")], trusted=True)
        merge(store, clock, [("MOON CAFE", "GS")])
    (one, *_) = sorted(arrive(store, clock, ["MOON CAFE"]), reverse=True)
    if case == "conflict":
        merge(store, clock, [("MOON CAFE", "SBUX")])
        merge(store, clock, [("MOON CAFE", "GS")])
    if case == "other proposal":
        merge(store, clock, [("MOON CAFE", "GS")])
    suggest(
        store,
        [one],
        None if case == "no answer" else "NFLX" if case == "retired" else "SBUX",
        0.6 if case == "unsure" else 0.99,
        "model" if case == "other stratum" else "key",
    )
    if case == "retired":
        with store.begin() as session:
            catalogue.retire(session, ["NFLX"], clock(), log.next_offset(session))
    assert approve_waiting(store, "tests", clock).approved == 0
    assert status(store, one)[0] == "pending"


def test_a_policy_looks_at_a_suggestion_once_and_a_new_one_looks_again(
    store: Database, clock: Clock
) -> None:
    proven(store, clock)
    approve_waiting(store, "tests", clock)
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX", 0.5)
    first, again = (approve_waiting(store, "tests", clock) for _ in range(2))
    with store.begin() as session:
        fit_policy(session, Wish(), "tests", clock(), "tests")
    later = approve_waiting(store, "tests", clock)
    assert (first.looked_at, again.looked_at) == (1, 0)
    assert later.looked_at >= 1


def test_chunks_come_to_the_same_as_one(store: Database, clock: Clock) -> None:
    proven(store, clock)
    ids = arrive(store, clock, [f"MOON {name}" for name in ("A", "B", "C", "D", "E")])
    suggest(store, ids[:2], "SBUX")
    suggest(store, ids[2:], "UBER")
    done = approve_waiting(store, "tests", clock, chunk=2)
    assert {status(store, one)[0] for one in ids} == {"auto_approved"}
    assert done.approved == 205


def test_what_a_person_put_back_is_not_approved_again(store: Database, clock: Clock) -> None:
    proven(store, clock)
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX")
    approve_waiting(store, "tests", clock)
    with store.begin() as session:
        version = mappings.get(session, one).version
        decide(session, one, Verdict(Action.REOPEN, version, "ann", reason="wrong"), clock())
        fit_policy(session, Wish(), "tests", clock(), "tests")
    approve_waiting(store, "tests", clock)
    assert status(store, one) == ("pending", None)


def test_an_approval_that_is_undone_and_restored_is_the_old_policys(
    store: Database, clock: Clock
) -> None:
    policy = proven(store, clock)
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX")
    approve_waiting(store, "tests", clock)
    with store.begin() as session:
        for action in (Action.REOPEN, Action.UNDO):
            version = mappings.get(session, one).version
            decide(session, one, Verdict(action, version, "ann"), clock())
        by_it = select(func.count()).where(decisions.c.policy_id == policy.id)
        assert session.scalar(by_it) == 202
    assert status(store, one) == ("auto_approved", "SBUX")


def test_nothing_is_learned_from_what_a_policy_approved_until_a_person_confirms(
    store: Database, clock: Clock
) -> None:
    proven(store, clock)
    (one,) = arrive(store, clock, ["MOON CAFE"])
    suggest(store, [one], "SBUX")
    with store.read() as session:
        before = log.latest(session)
    approve_waiting(store, "tests", clock)
    with store.read() as session:
        latest = log.latest(session)
        assert training.live_texts(session, latest).empty
        assert training.labelled_rows(session, latest).empty
        assert training.live_changes(session, before) == []
        assert len(training.live_texts(session, latest, automatic=True)) == 201
        assert activity.agreement(session) == []
        version = mappings.get(session, one).version
    with store.begin() as session:
        decide(session, one, Verdict(Action.CORRECT, version, "ann", "SBUX"), clock())
        latest = log.latest(session)
    with store.read() as session:
        assert training.live_texts(session, latest)["text"].tolist() == ["MOON CAFE"]
        assert training.learned_since(session, before).texts == 1


def test_a_stop_holds_every_approval(store: Database, clock: Clock) -> None:
    proven(store, clock)
    with store.begin() as session:
        breaker.stop(session, Cause.PERSON, "ann", "we look at it", "ann", clock())
    done = approve_waiting(store, "tests", clock)
    assert (done.approved, done.held) == (0, "we look at it")
    with store.begin() as session:
        new = submit(session, Submission("SUN CAFE"), "ann", clock())
        assert not approve_one(session, new.id, "tests", clock())


@pytest.mark.parametrize(
    "wanted",
    [
        mappings.Filter(policy=1, q="moon"),
        mappings.Filter(model="1", q="moon"),
        mappings.Filter(decided_by="policy 1", q="moon"),
    ],
)
def test_what_a_policy_approved_is_found_until_somebody_decides(
    store: Database, clock: Clock, wanted: mappings.Filter
) -> None:
    proven(store, clock)
    ids = arrive(store, clock, ["MOON CAFE", "MOON BAR"])
    suggest(store, ids, "SBUX")
    approve_waiting(store, "tests", clock)
    with store.begin() as session:
        version = mappings.get(session, ids[0]).version
        decide(session, ids[0], Verdict(Action.CORRECT, version, "ann", "GS"), clock())
    with store.read() as session:
        assert [one.id for one in mappings.page(session, wanted, None, 9).items] == [ids[1]]
        by_ann = mappings.Filter(decided_by="ann")
        assert [one.id for one in mappings.page(session, by_ann, None, 9).items] == [ids[0]]
