"""From scores to probabilities: logistic functions, fitted on answers whose truth is known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]

ENOUGH = 100  # answers of known truth, and at least `BOTH` of them right and wrong each
BOTH = 10
NOTHING = 0.1  # weight of the wrong answer to nothing, of that of all answers


@dataclass(frozen=True, slots=True)
class Logistic:
    """P(right) = 1 / (1 + exp(-(intercept + weights . scores)))."""

    intercept: float
    weights: tuple[float, ...]

    def __call__(self, scores: npt.NDArray[np.floating]) -> Floats:
        """Return the probability of each row of `scores` (rows, weights)."""
        return np.asarray(expit(self.intercept + scores @ np.array(self.weights)))


def fitted(
    scores: npt.NDArray[np.floating],
    right: npt.NDArray[np.bool_],
    prior: Logistic,
    weights: Floats | None = None,
) -> Logistic:
    """Fit to answers of known truth; too few of them leave a prior that tells scores apart."""
    if len(right) >= ENOUGH and BOTH <= right.sum() <= len(right) - BOTH:
        return _fit(scores, right, weights, C=100.0)
    if any(prior.weights) or not len(right):
        return prior
    # Scores of nothing are taken for wrong: a model that was never wrong is trusted as well, but
    # not for answers to texts it knows nothing of.
    given = np.ones(len(right)) if weights is None else weights
    return (
        _fit(
            np.vstack([scores, np.zeros_like(scores[:1])]),
            np.append(right, False),
            np.append(given, NOTHING * given.sum()),
        )
        if right.any()
        else prior
    )


def _fit(
    scores: npt.NDArray[np.floating],
    right: npt.NDArray[np.bool_],
    weights: Floats | None,
    C: float = 1.0,
) -> Logistic:
    model = LogisticRegression(C=C, max_iter=1000).fit(scores, right, sample_weight=weights)
    return Logistic(float(model.intercept_[0]), tuple(model.coef_[0].tolist()))
