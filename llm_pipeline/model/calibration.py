"""From scores to probabilities: logistic functions, fitted on answers whose truth is known."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]

ENOUGH = 100  # answers of known truth, and at least `BOTH` of them right and wrong each
BOTH = 10


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
    """Fit to answers of known truth; too few of them leave the prior as it is."""
    if len(right) < ENOUGH or not BOTH <= right.sum() <= len(right) - BOTH:
        return prior
    model = LogisticRegression(C=100.0, max_iter=1000).fit(scores, right, sample_weight=weights)
    return Logistic(float(model.intercept_[0]), tuple(model.coef_[0].tolist()))
