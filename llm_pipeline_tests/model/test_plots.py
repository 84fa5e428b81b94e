from pathlib import Path

import numpy as np
import pytest

from llm_pipeline.model.evaluation import Evaluation, scores
from llm_pipeline.model.plots import OTHER, confusion, confusion_shares, draw, risk_coverage

NAMES = ["confusion.png", "calibration.png", "risk_coverage.png"]


def evaluation(target: list[str], predicted: list[str], probability: list[float]) -> Evaluation:
    wanted, given = np.array(target, dtype=object), np.array(predicted, dtype=object)
    return Evaluation(
        unseen=scores(target, predicted, probability),
        seen_share=0.0,
        seen_accuracy=0.0,
        accuracy=0.0,
        texts=np.array([f"text {row}" for row in range(len(target))], dtype=object),
        target=wanted,
        predicted=given,
        probability=np.array(probability, dtype=np.float64),
        correct=np.asarray(wanted == given, dtype=bool),
    )


@pytest.mark.parametrize(
    "drawn",
    [
        evaluation([], [], []),
        evaluation(["a"], ["a"], [1.0]),
        evaluation(["a"], [""], [0.0]),
        evaluation(["$x$y$", "other", "n" * 90], ["other", "$x$y$", "z"], [0.1, 0.5, 0.9]),
        evaluation([str(n % 30) for n in range(300)], ["7"] * 300, [n / 300 for n in range(300)]),
    ],
    ids=["empty", "one", "abstained", "odd names", "many"],
)
def test_draws_three_pictures_whatever_there_is(drawn: Evaluation, tmp_path: Path) -> None:
    paths = draw(drawn, tmp_path / "plots")
    assert [path.name for path in paths] == NAMES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_each_row_of_the_confusion_adds_up_to_one() -> None:
    drawn = evaluation(["a", "a", "a", "b", "c"], ["a", "b", "z", "b", "c"], [0.5] * 5)
    shares = confusion_shares(drawn, ["a", "b"])
    assert shares.tolist() == [[1 / 3, 1 / 3, 1 / 3], [0, 1, 0]]


def test_confusion_shows_the_twenty_most_frequent_targets() -> None:
    target = [str(n) for n in range(30) for _ in range(30 - n)]
    axes = confusion(evaluation(target, target, [0.5] * len(target))).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == [str(n) for n in range(20)]
    assert axes.get_xticklabels()[-1].get_text() == OTHER


def test_risk_is_the_share_wrong_among_the_most_confident() -> None:
    drawn = evaluation(["a"] * 4, ["a", "b", "a", "b"], [0.9, 0.2, 0.8, 0.7])
    line = risk_coverage(drawn).axes[0].get_lines()[0]
    assert np.asarray(line.get_xdata()).tolist() == [0.25, 0.5, 0.75, 1.0]
    assert np.asarray(line.get_ydata()).tolist() == [0, 0, 1 / 3, 0.5]
