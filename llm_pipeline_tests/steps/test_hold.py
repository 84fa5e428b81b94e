"""Repeats of approved texts: how sure memory is of them, which are held, and what answers do."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import select, update

from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.automation import AuditKind, Cause
from llm_pipeline.domain.records import Action
from llm_pipeline.steps.audit import Answered, audit
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.steps.hold import hold_one, hold_repeats, score_repeats
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import audits, breaker, holding, log, lots, mappings, watching
from llm_pipeline.store.engine import Database
from llm_pipeline.store.holding import Held
from llm_pipeline.store.policies import Policy
from llm_pipeline.store.schema_automation import audit_lots
from llm_pipeline.store.schema_automation import audits as audit_rows
from llm_pipeline_tests.automation_factories import DUE, LOT, proven, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge, submission

STEADY, FICKLE = "SUN CAFE", "MOON CAFE"
Known = Callable[[], Serving]


@pytest.fixture
def known(store: Database, clock: Clock) -> Known:
    """One text that always meant the same, and one whose target changed with every label; lots up
    to here are over. Returns who recognises, up to date with the log."""
    serving = Serving(lambda _version: pytest.fail("there is no model"))

    def refreshed() -> Serving:
        with store.read() as session:
            serving.refresh(session)
        return serving

    merge(store, clock, [("OTHER", None)])
    _draw(store, clock, 0.0)
    for n in range(8):
        merge(store, clock, [(STEADY, "SBUX"), (FICKLE, ("UBER", "GS")[n % 2])], trusted=True)
        _confirm(store, clock, STEADY)  # one more label that says the same is no news of the log
        refreshed()
    _draw(store, clock, 0.0)
    return refreshed


def _confirm(store: Database, clock: Clock, text: str, target: str = "SBUX") -> None:
    with store.begin() as session:
        live = mappings.live(session, text.lower())
        assert live is not None
        decide(session, live.id, Verdict(Action.CORRECT, live.version, "ann", target), clock())


def _draw(store: Database, clock: Clock, share: float) -> None:
    with store.begin() as session:
        lots.draw(session, lots.Draw(share, DUE, LOT), clock())


def _fit(store: Database, clock: Clock) -> Policy:
    with store.begin() as session:
        return fit_policy(session, Wish(), "tests", clock(), "tests")


def _repeat(
    store: Database, clock: Clock, known: Known, texts: Sequence[str], share: float = 0.0
) -> Held:
    """Texts arrive and take part in a lot; then repeats are scored and held, as recognition does.

    What is drawn stands for fifty times as much, as if it had been drawn with a share of 2 %.
    """
    merge(store, clock, [(text, None) for text in texts])
    _draw(store, clock, share)
    recognize = known().recognize
    with store.begin() as session:
        score_repeats(session, recognize)
        rare = {"inclusion_probability": 0.02, "lot": 0.01}
        repeats = audit_rows.c.kind == "repeat", audit_rows.c.rows == 1
        session.execute(update(audit_rows).where(*repeats).values(rare))
    return hold_repeats(store, recognize, DUE, "tests", clock, chunk=1)


def _audits(store: Database, kind: AuditKind) -> list[audits.Drawn]:
    a = audit_rows.c
    with store.read() as session:
        ids = session.scalars(select(a.id).where(a.kind == kind.value).order_by(a.id)).all()
        return [audits.get(session, one) for one in ids]


def _target(store: Database, text: str) -> str | None:
    with store.read() as session:
        live = mappings.live(session, text.lower())
    return None if live is None else live.target


def _answer(
    store: Database, clock: Clock, audit_id: int, target: str | None, auditor: str = "eve"
) -> Answered:
    """Answer and carry out what comes of it, as the API does."""
    with store.begin() as session:
        done = audit(session, audit_id, target, auditor, clock())
        if done.action is not None:
            named = None if done.action is Action.REJECT else target
            verdict = Verdict(done.action, done.version, auditor, named)
            decide(session, done.mapping_id, verdict, clock())
    return done


def test_without_a_policy_all_repeats_pass(store: Database, clock: Clock, known: Known) -> None:
    assert _repeat(store, clock, known, [FICKLE, STEADY]) == Held()
    _fit(store, clock)
    again = hold_repeats(store, known().recognize, DUE, "tests", clock)
    assert again == Held(), "what came before the policy was looked at"


def test_what_changed_often_is_held_and_what_is_steady_is_not(
    store: Database, clock: Clock, known: Known
) -> None:
    policy = _fit(store, clock)
    held = _repeat(store, clock, known, [STEADY, FICKLE, FICKLE])
    (waiting,) = _audits(store, AuditKind.HELD)
    with store.read() as session:
        (shown,) = audits.open_for(session, "eve", 0, 10)
        (told,) = log.read_since(session, 0, names=["audit:held"])
        assert holding.held(session) == held == Held(1, 2)
        lots_held = session.scalars(select(audit_lots.c.held).order_by(audit_lots.c.id)).all()
    assert (shown.text, shown.rows, shown.id) == (FICKLE, 2, waiting.id)
    assert waiting.stratum == "exact"
    assert waiting.score is not None
    assert waiting.score < 0.9
    assert (told.payload["rows"], told.payload["policy_id"]) == (2, policy.id)
    assert lots_held[-1] == 1
    assert _target(store, FICKLE) == "GS", "it stays live until somebody says otherwise"


def test_more_of_what_is_held_is_added_to_it_once(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    _repeat(store, clock, known, [FICKLE])
    _repeat(store, clock, known, [FICKLE, FICKLE])
    with store.begin() as session:
        assert holding.held(session) == Held(1, 3)
        session.execute(update(audit_lots).values(held=None))  # as if it had broken off
    hold_repeats(store, known().recognize, DUE, "tests", clock)
    with store.read() as session:
        assert holding.held(session) == Held(1, 3)
    assert len(_audits(store, AuditKind.HELD)) == 1


def test_who_agrees_confirms_and_memory_grows_surer(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    scores = []
    for _ in range(3):
        _repeat(store, clock, known, [FICKLE])
        waiting = _audits(store, AuditKind.HELD)[-1]
        done = _answer(store, clock, waiting.id, "GS")
        assert (done.right, done.action) == (True, Action.CORRECT)
        scores.append(waiting.score or 0.0)
    assert scores[0] < scores[1] < scores[2]
    with store.read() as session:
        assert holding.held(session) == Held()
    assert _target(store, FICKLE) == "GS"


@pytest.mark.parametrize(
    ("said", "action"), [("AMZN", Action.CORRECT), (None, Action.REJECT)], ids=str
)
def test_who_disagrees_corrects(
    store: Database, clock: Clock, known: Known, said: str | None, action: Action
) -> None:
    _fit(store, clock)
    _repeat(store, clock, known, [FICKLE])
    (waiting,) = _audits(store, AuditKind.HELD)
    done = _answer(store, clock, waiting.id, said)
    assert (done.right, done.action) == (False, action)
    assert _target(store, FICKLE) == said
    with store.read() as session:
        assert holding.held(session) == Held()


def test_what_is_held_is_no_evidence_and_never_overdue(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    _repeat(store, clock, known, [FICKLE])
    (waiting,) = _audits(store, AuditKind.HELD)
    clock.time += 2 * DUE
    with store.begin() as session:
        assert audits.open_count(session) == 1
        assert audits.open_count(session, due_before=clock()) == 0
        assert audits.evidence(session, clock() - 9 * DUE, clock()) == []
        assert breaker.look(session, "tests", clock()) == []
    _answer(store, clock, waiting.id, "AMZN")
    policy = _fit(store, clock)
    with store.read() as session:
        assert audits.answered_count(session) == 0
        watched = watching.watch(session, clock())
    assert watched is not None
    assert (watched[0].audits, policy.rule["audits"]) == (0, 0)


def test_whoever_decided_may_confirm_what_is_held_but_not_answer_what_was_drawn(
    store: Database, clock: Clock, known: Known
) -> None:
    _confirm(store, clock, FICKLE, "GS")
    _fit(store, clock)
    _repeat(store, clock, known, [FICKLE], share=1.0)
    (waiting,) = _audits(store, AuditKind.HELD)
    with store.read() as session:
        assert [one.id for one in audits.open_for(session, "ann", 0, 10)] == [waiting.id]
    _answer(store, clock, waiting.id, "GS", "ann")
    with store.read() as session:
        assert len(audits.open_for(session, "eve", 0, 10)) == 1, "the lot's waits for another"


@pytest.mark.parametrize("first", [AuditKind.HELD, AuditKind.REPEAT])
def test_one_look_answers_what_is_held_and_what_the_lot_drew(
    store: Database, clock: Clock, known: Known, first: AuditKind
) -> None:
    _fit(store, clock)
    _repeat(store, clock, known, [FICKLE], share=1.0)
    (chosen,) = _audits(store, first)
    assert _answer(store, clock, chosen.id, "GS").action is Action.CORRECT
    with store.read() as session:
        assert audits.open_count(session) == 0
        (only,) = audits.evidence(session, clock() - DUE, clock())
    assert (only.kind, only.stratum, only.wrong) == (AuditKind.REPEAT, "exact", False)


def test_an_audited_repeat_has_the_probability_of_its_time(
    store: Database, clock: Clock, known: Known
) -> None:
    policy = _fit(store, clock)
    merge(store, clock, [(STEADY, None), (FICKLE, None)])
    _draw(store, clock, 1.0)
    answers = [one.probability for one in known().recognize([STEADY, FICKLE])]
    with store.begin() as session:
        assert audits.evidence(session, clock() - DUE, clock() + 2 * DUE) == []
        assert score_repeats(session, known().recognize) == 2
        assert score_repeats(session, known().recognize) == 0
    steady, fickle = _audits(store, AuditKind.REPEAT)
    assert [steady.score, fickle.score] == pytest.approx(answers)
    assert (steady.policy_id, fickle.policy_id) == (policy.id, None), "one passes, one is held"


def test_what_memory_does_not_know_yet_is_scored_and_held_later(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    merge(store, clock, [("STAR CAFE", "SBUX")], trusted=True)
    late = Serving(lambda _version: pytest.fail("there is no model"))
    merge(store, clock, [("STAR CAFE", None)])
    _draw(store, clock, 1.0)
    with store.begin() as session:
        assert score_repeats(session, late.recognize) == 0
        assert score_repeats(session, known().recognize) == 1


def _steady_repeats(store: Database, clock: Clock, known: Known, number: int) -> None:
    """So many texts that people approved four times repeat, all audited and right."""
    texts = [f"SHOP {word(n)}" for n in range(number)]
    merge(store, clock, [(text, "SBUX") for text in texts], trusted=True)
    for _ in range(4):
        known()
        for text in texts:
            _confirm(store, clock, text)
    _draw(store, clock, 0.0)
    assert _repeat(store, clock, known, texts, share=1.0) == Held()


@pytest.mark.parametrize("wrong", [0, 2])
def test_repeats_prove_and_wrong_ones_lower_what_is_proven(
    store: Database, clock: Clock, known: Known, wrong: int
) -> None:
    _fit(store, clock)
    _steady_repeats(store, clock, known, 60)
    with store.begin() as session:
        for n, one in enumerate(audits.open_for(session, "eve", 0, 1_000), 1):
            audit(session, one.id, "GS" if n > 60 - wrong else "SBUX", "eve", clock())
        watched = watching.watch(session, clock())
        policy = fit_policy(session, Wish(0.05), "tests", clock(), "tests")
    assert watched is not None
    assert (watched[0].audits, watched[0].errors) == (60, wrong), "they had passed"
    assert policy.evidence["repeats"] == {"audits": 60, "wrong": wrong}
    parts = [part.stratum for part in Rule.from_json(policy.rule).accepted]
    assert parts == ([] if wrong else ["exact"])


def test_wrong_repeats_that_had_passed_stop_automatic_approval(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    _steady_repeats(store, clock, known, 3)
    for one in _audits(store, AuditKind.REPEAT)[:2]:
        assert _answer(store, clock, one.id, "GS").right is False
    with store.read() as session:
        (stop,) = breaker.open_stops(session)
    assert stop.cause is Cause.AUDITS
    assert "2 of 2 audited automatic approvals are wrong" in stop.reason


def test_repeats_pass_by_the_bound_until_one_was_audited(
    store: Database, clock: Clock, known: Known
) -> None:
    """A policy that knows of keys only says nothing against steady repeats."""
    proven(store, clock)
    assert _repeat(store, clock, known, [STEADY, FICKLE]) == Held(1, 1)


def test_a_single_text_that_joins_is_held_at_once(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    recognize = known().recognize
    with store.read() as session:
        before = holding.unseen_lots(session)

    def sent(text: str) -> bool:
        with store.begin() as session:
            new = submit(session, submission(text), "tests", clock())
            lots.draw(session, lots.Draw(0.0, DUE, LOT), clock())
            return hold_one(session, recognize, new.id, DUE, "tests", clock())

    assert [sent(text) for text in (STEADY, FICKLE, FICKLE, "NEW CAFE")] == [
        False,
        True,
        True,
        False,
    ]
    with store.read() as session:
        assert holding.held(session) == Held(1, 2)
        assert holding.unseen_lots(session) == before, "lots of a single text are done"
        told = log.read_since(session, 0, names=["audit:held"])
    assert told[0].payload["mapping_id"] is not None


def test_what_waits_counts_for_what_the_text_means_now(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    _repeat(store, clock, known, [FICKLE, FICKLE])
    _confirm(store, clock, FICKLE, "AMZN")
    with store.read() as session:
        assert holding.held(session) == Held(), "somebody corrected it without the audit"
    _repeat(store, clock, known, [FICKLE])
    with store.read() as session:
        assert holding.held(session) == Held(1, 1)
    (waiting,) = _audits(store, AuditKind.HELD)
    assert _answer(store, clock, waiting.id, "AMZN").right


def test_what_somebody_decided_meanwhile_is_not_held(
    store: Database, clock: Clock, known: Known
) -> None:
    _fit(store, clock)
    merge(store, clock, [(FICKLE, None)])
    _draw(store, clock, 0.0)
    recognize = known().recognize
    with store.begin() as session:
        live = mappings.live(session, FICKLE.lower())
        assert live is not None
        (found,) = holding.repeats(session, holding.unseen_lots(session)[-1])
        decide(session, live.id, Verdict(Action.REJECT, live.version, "ann"), clock())
        doubt = holding.Doubtful(found, 0.5)
        assert (
            holding.hold(session, holding.unseen_lots(session)[-1], [doubt], clock(), DUE) == Held()
        )
    assert hold_repeats(store, recognize, DUE, "tests", clock) == Held()
