import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, f1_score

from llm_pipeline.domain.policy import PairedAnswers
from llm_pipeline.domain.records import Scores
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.evaluation import evaluate, held_out, paired, scores
from llm_pipeline.model.recognizer import Recognizer


def test_a_tenth_of_the_keys_is_held_out_for_ever() -> None:
    chosen = held_out(f"merchant {number}" for number in range(10_000))
    assert 0.09 < chosen.mean() < 0.11
    assert held_out(["taxi", "amzn mktp ca", "東京"]).tolist() == [True, False, False]
    assert held_out([]).dtype == bool


def test_scores_agree_with_numbers_worked_out_by_hand() -> None:
    found = scores(list("aabb"), list("aabc"), [0.9, 0.8, 0.7, 0.2])
    assert found.rows == 4
    assert found.accuracy == 0.75
    assert found.macro_f1 == pytest.approx((1 + 2 / 3) / 2)
    assert found.coverage_at_95 == pytest.approx(0.75)
    assert found.ece == pytest.approx((0.1 + 0.2 + 0.3 + 0.2) / 4)
    assert found.brier == pytest.approx((0.01 + 0.04 + 0.09 + 0.04) / 4)


def test_scores_agree_with_scikit_learn_also_when_weighted() -> None:
    random = np.random.default_rng(0)
    target, predicted = random.choice(list("abcd"), 200), random.choice(list("abcd"), 200)
    sure, weights = random.random(200), random.integers(1, 9, 200).astype(float)
    found = scores(target, predicted, sure, weights)
    f1 = f1_score(target, predicted, average="macro", sample_weight=weights)
    assert found.macro_f1 == pytest.approx(f1)
    brier = brier_score_loss(target == predicted, sure, sample_weight=weights)
    assert found.brier == pytest.approx(brier)


@pytest.mark.parametrize(
    ("correct", "probability", "weights", "coverage"),
    [
        ([1, 1], [0.9, 0.8], None, 1.0),
        ([0, 1], [0.9, 0.8], None, 0.0),
        ([1, 0], [0.9, 0.9], None, 0.0),
        ([1, 0, 1], [0.9, 0.8, 0.7], None, 1 / 3),
        ([1, 0], [0.9, 0.8], [19, 1], 1.0),
        ([1, 0], [0.9, 0.8], [18, 2], 0.9),
    ],
)
def test_coverage_counts_what_one_threshold_can_take(
    correct: list[int], probability: list[float], weights: list[float] | None, coverage: float
) -> None:
    predicted = ["a" if right else "b" for right in correct]
    found = scores(["a"] * len(correct), predicted, probability, weights)
    assert found.coverage_at_95 == pytest.approx(coverage)


def test_no_answer_is_a_wrong_answer_and_no_rows_are_zeros() -> None:
    assert scores(["a", "a"], ["a", ""], [1.0, 0.0]).accuracy == 0.5
    assert scores([], [], []) == Scores(0, 0.0, 0.0, 0.0, 0.0, 0.0)


def test_evaluates_held_out_keys_without_memory_and_replays_the_history(
    texts: pd.DataFrame,
) -> None:
    kept = held_out(texts["key"])
    recognizer = Recognizer().fit(texts["text"], texts["target"], teaches=~kept)
    found = evaluate(recognizer, texts, pd.concat([texts, texts]))
    assert found.unseen.rows == len(found.texts) == kept.sum() > 0
    assert found.unseen.accuracy == found.correct.mean() > 0.8
    assert (found.correct == (found.predicted == found.target)).all()
    assert found.seen_share >= 0.5
    assert found.seen_accuracy == 1.0
    assert found.seen_share < found.accuracy <= 1.0


def test_the_stream_estimate_weighs_every_held_out_key_alike() -> None:
    rows = [("taxi", "a"), ("taxi 1", "a"), ("taxi 2", "a"), (OTHER_HELD_OUT, "b"), ("pie", "a")]
    table = pd.DataFrame(rows, columns=["text", "target"], dtype=object)
    table["normalized"] = table["text"]
    table["key"] = ["taxi"] * 3 + [OTHER_HELD_OUT, "pie"]
    recognizer = Recognizer().fit(["taxi", "taxicab"], ["a", "a"])
    found = evaluate(recognizer, table, table)
    assert found.unseen.accuracy == 0.75
    assert (found.seen_share, found.seen_accuracy) == (0.4, 1.0)
    assert found.accuracy == pytest.approx(0.4 + 0.6 * 0.5)


OTHER_HELD_OUT = next(name for name in map("cab{}x".format, range(99)) if held_out([name])[0])


def test_nothing_held_out_is_no_trouble(texts: pd.DataFrame) -> None:
    taught = texts[~held_out(texts["key"])]
    found = evaluate(Recognizer.empty(), taught, taught.iloc[:0])
    assert found.unseen.rows == 0
    assert (found.seen_share, found.seen_accuracy, found.accuracy) == (0.0, 0.0, 0.0)


def test_pairs_count_the_texts_only_one_had_right(texts: pd.DataFrame) -> None:
    trained = Recognizer().fit(texts["text"], texts["target"])
    challenger = evaluate(trained, texts, texts)
    champion = evaluate(Recognizer.empty(), texts, texts)
    assert paired(challenger, champion) == PairedAnswers(int(challenger.correct.sum()), 0)
    assert paired(champion, challenger) == PairedAnswers(0, int(challenger.correct.sum()))
    with pytest.raises(InvalidInput, match="different texts"):
        paired(challenger, evaluate(trained, texts.iloc[:50], texts))
