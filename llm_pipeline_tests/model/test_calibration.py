import numpy as np
import pytest

from llm_pipeline.model.calibration import BOTH, ENOUGH, Logistic, fitted

PRIOR = Logistic(0.5, (1.0,))


def test_gives_the_logistic_function_of_each_row() -> None:
    found = Logistic(-1.0, (2.0, 0.0))(np.array([[0.5, 9.0], [0.0, 9.0]]))
    assert found.tolist() == pytest.approx([0.5, 1 / (1 + np.e)])
    assert Logistic(0.0, (1.0,))(np.zeros((0, 1))).tolist() == []


@pytest.mark.parametrize(
    "right",
    [
        np.arange(ENOUGH - 1) % 2 == 0,
        np.arange(ENOUGH) >= BOTH - 1,
        np.arange(ENOUGH) < BOTH - 1,
        np.zeros(0, dtype=bool),
    ],
)
def test_too_few_answers_leave_a_prior_that_tells_scores_apart(right: np.ndarray) -> None:
    assert fitted(np.zeros((len(right), 1)), right, PRIOR) is PRIOR


def test_few_answers_replace_a_prior_that_says_nothing_of_scores() -> None:
    untested = Logistic(-2.0, (0.0,))
    scores = np.ones((50, 1))
    always = fitted(scores, np.ones(50, dtype=bool), untested)
    mostly = fitted(scores, np.arange(50) >= 10, untested)
    assert 0.9 < always(scores[:1])[0] < 1
    assert mostly(scores[:1])[0] == pytest.approx(0.79, abs=0.03)
    assert fitted(scores[:0], np.zeros(0, dtype=bool), untested) is untested


def test_fitted_it_says_how_often_answers_of_such_a_score_were_right() -> None:
    scores = np.repeat([0.0, 1.0], 100)[:, None]
    right = np.concatenate([np.arange(100) < 20, np.arange(100) < 90])
    found = fitted(scores, right, PRIOR)(np.array([[0.0], [1.0]]))
    assert found.tolist() == pytest.approx([0.2, 0.9], abs=0.01)


def test_weights_count() -> None:
    scores, right = np.zeros((200, 1)), np.arange(200) < 100
    weights = np.where(right, 3.0, 1.0)
    assert fitted(scores, right, PRIOR, weights)(scores[:1])[0] == pytest.approx(0.75, abs=0.01)
