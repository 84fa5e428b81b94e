"""The small pure rules: roles, events, promotion."""

import json
from dataclasses import fields, replace

import pytest

from llm_pipeline.domain.center_events import MappingApproved
from llm_pipeline.domain.event import Event
from llm_pipeline.domain.events import EVENTS
from llm_pipeline.domain.learning_events import ModelPromoted
from llm_pipeline.domain.policy import OfTarget, PairedAnswers, beats, mcnemar_loss
from llm_pipeline.domain.records import Role, Scores
from llm_pipeline.errors import InvalidInput, UnknownTarget


def _scores(accuracy: float, brier: float = 0.1) -> Scores:
    return Scores(100, accuracy, 0.5, 0.4, 0.02, brier)


def test_each_role_reaches_the_ones_before_it() -> None:
    reached = {role: sum(role.reaches(needed) for needed in Role) for role in Role}
    assert list(reached.values()) == [1, 2, 3, 4]


def test_scores_become_metrics_by_their_names() -> None:
    metrics = _scores(0.9).as_metrics("unseen_")
    assert metrics["unseen_accuracy"] == 0.9
    assert set(metrics) == {f"unseen_{field.name}" for field in fields(Scores)}


def test_every_event_is_named_in_the_past_tense_once() -> None:
    assert set(EVENTS) == {event.name for event in Event.__subclasses__()}
    assert all(name.count(":") == 1 for name in EVENTS)
    assert EVENTS["model:promoted"] is ModelPromoted


def test_an_event_is_stored_as_json_without_its_actor() -> None:
    payload = MappingApproved("ann", 1, mapping_id=4, text="x", target="SBUX").payload()
    assert json.loads(json.dumps(payload)) == {
        "rows": 1,
        "mapping_id": 4,
        "text": "x",
        "target": "SBUX",
        "upload_id": None,
    }


def test_an_unknown_target_names_the_key_and_is_invalid_input() -> None:
    error = UnknownTarget("XX")
    assert isinstance(error, InvalidInput)
    assert (error.key, "'XX'" in str(error)) == ("XX", True)


@pytest.mark.parametrize(
    ("pairs", "loss"),
    [((0, 0), 1.0), ((0, 5), 1 / 32), ((5, 0), 1.0), ((1, 1), 0.75), ((1, 3), 5 / 16)],
)
def test_the_loss_is_a_binomial_tail(pairs: tuple[int, int], loss: float) -> None:
    assert mcnemar_loss(PairedAnswers(*pairs)) == pytest.approx(loss)


def test_a_first_model_needs_no_rival() -> None:
    verdict = beats(_scores(0.4), None, PairedAnswers(0, 0))
    assert verdict.promote
    assert verdict.reason == "first model: 0.400 right on 100 held-out texts"


def test_a_first_model_that_nothing_could_test_says_so() -> None:
    verdict = beats(Scores(0, 0.0, 0.0, 0.0, 0.0, 0.0), None, PairedAnswers(0, 0))
    assert (verdict.promote, verdict.reason) == (True, "first model: not measured yet")


@pytest.mark.parametrize(
    ("challenger", "pairs", "promote", "because"),
    [
        (_scores(0.91), (3, 2), True, "more right answers"),
        (_scores(0.90, 0.09), (2, 2), True, "better probabilities"),
        (_scores(0.90, 0.10), (0, 0), False, "not better"),
        (_scores(0.90, 0.11), (2, 2), False, "not better"),
        (_scores(0.89, 0.01), (1, 2), False, "not better"),
    ],
)
def test_a_challenger_must_be_better_on_the_same_rows(
    challenger: Scores, pairs: tuple[int, int], promote: bool, because: str
) -> None:
    verdict = beats(challenger, _scores(0.90), PairedAnswers(*pairs))
    assert (verdict.promote, because in verdict.reason) == (promote, True)


BETTER = (_scores(0.92), _scores(0.90), PairedAnswers(30, 10))


@pytest.mark.parametrize(
    ("recent", "targets", "because"),
    [
        (PairedAnswers(1, 9), (), "worse on the newest texts (9 only the champion had right"),
        (PairedAnswers(0, 0), (OfTarget("GS", PairedAnswers(0, 7)),), "worse on GS (7 only"),
        (PairedAnswers(3, 4), (OfTarget("GS", PairedAnswers(1, 2)),), ""),
    ],
)
def test_a_better_challenger_may_not_break_a_floor(
    recent: PairedAnswers, targets: tuple[OfTarget, ...], because: str
) -> None:
    verdict = beats(*BETTER, recent, targets)
    assert verdict.promote is not bool(because)
    assert because in verdict.reason
    assert verdict.comparison["versus_only_challenger"] == 30.0
    assert verdict.comparison["versus_recent_only_champion"] == recent.only_champion


def test_a_loss_on_one_of_many_targets_must_be_clearer() -> None:
    five = OfTarget("GS", PairedAnswers(0, 5))
    others = tuple(OfTarget(str(n), PairedAnswers(1, 0)) for n in range(9))
    assert not beats(*BETTER, targets=(five,)).promote
    assert beats(*BETTER, targets=(five, *others)).promote


@pytest.mark.parametrize(("ece", "promote"), [(0.049, True), (0.06, False)])
def test_probabilities_may_not_be_further_off(ece: float, promote: bool) -> None:
    sure = replace(_scores(0.92), rows=500, ece=ece)
    verdict = beats(sure, replace(_scores(0.90), ece=0.01), PairedAnswers(30, 10))
    assert verdict.promote is promote
    assert promote or "further off (ECE 0.060 v 0.010)" in verdict.reason
