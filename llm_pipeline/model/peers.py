"""What others would use in the recogniser's place: TF-IDF and logistic regression."""

from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

FEATURES = 30_000
ROUNDS = 60


class TextRegression:
    """Multinomial logistic regression on character 2-4-grams, untuned.

    >>> peer = TextRegression().fit(["red", "red car", "blue"], ["r", "r", "b"])
    >>> peer.surest(["a red one"])[0].tolist()
    ['r']
    """

    def fit(self, texts: Sequence[str], targets: Sequence[str]) -> Self:
        self.model_ = make_pipeline(
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), max_features=FEATURES),
            # It need not converge to the last digit: more rounds change few answers.
            LogisticRegression(C=30.0, max_iter=ROUNDS, tol=1e-2),
        ).fit(texts, targets)
        return self

    def surest(
        self, texts: Sequence[str]
    ) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]:
        """Return the best target of each text and its probability."""
        chances = self.model_.predict_proba(texts)
        place = chances.argmax(axis=1)
        answers = np.asarray(self.model_.classes_[place], dtype=object)
        return answers, chances[np.arange(len(place)), place]
