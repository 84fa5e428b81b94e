"""The linear model for texts that memory does not know, and the calibration of its answers.

It sees grouping keys only, as character n-grams: store and order codes carry no meaning here.
"""

from collections.abc import Collection
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.svm import LinearSVC

from llm_pipeline.domain.text import group_key, normalize

Floats = npt.NDArray[np.float64]
Answers = tuple[npt.NDArray[np.object_], npt.NDArray[np.float64]]

UNTESTED = 0.1  # of an answer that no held-out key could test: below any sensible threshold
SHARPNESS = 8.0  # of the softmax over runners-up: the best of 2-10 by log loss on Toronto's keys
CHUNK = 4096  # distinct keys scored at a time: 11 MB of margins with 350 classes
PRUNE_FROM = 1000  # distinct keys: n-grams of one key only then go, half of them, at no loss
FOLDS = 3  # 5 gave the same Brier score on unseen Toronto keys, for six fits instead of four


class LinearModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Linear SVC on character n-grams of the grouping key, with a calibrated top answer.

    The probability of the top answer is a logistic function of its margin and of its lead over the
    runner-up, fitted on keys that the scoring weights had not seen. Runners-up share the rest. A
    text that shares no n-gram with the training texts gets no answer.

    Parameters
    ----------
    ngram_range : shortest and longest character n-gram.
    C : inverse regularisation of the SVC; 0.5 was the best of 0.2, 0.5, 1, 2 on Toronto's keys.
    random_state : seed of the SVC and of the calibration folds.

    Attributes
    ----------
    classes_ : target keys, sorted.
    vectorizer_ : the fitted n-gram vectoriser, or None when there was nothing to learn.
    weights_ : (features, classes) float32 that float16 holds exactly: a saved model answers alike.
    intercept_ : (classes,) float32.
    calibration_ : intercept, slope of the margin, slope of the lead; None while untested.

    Examples
    --------
    >>> texts = ["city taxi", "airport taxi", "corner pizza", "pizza house", "taxi", "pizza"]
    >>> model = LinearModel().fit(texts, ["taxi", "taxi", "food", "food", "taxi", "food"])
    >>> model.top_k(["yellow taxi 77"], 1)[0].tolist()
    [['taxi']]
    """

    def __init__(
        self, *, ngram_range: tuple[int, int] = (2, 5), C: float = 0.5, random_state: int = 0
    ) -> None:
        self.ngram_range = ngram_range
        self.C = C
        self.random_state = random_state

    def fit(self, texts: Collection[str], y: Collection[str]) -> Self:
        pairs = _distinct_pairs(texts, y)
        self.calibration_ = self._calibrate(pairs)
        return self._fit_weights(pairs)

    def top_k(self, texts: Collection[str], k: int) -> Answers:
        """Return the `k` best targets of each text and their probabilities, best first.

        Both are (texts, k); places without an answer hold "" and 0.
        """
        codes, keys = pd.factorize(np.array(_keys(texts), dtype=object))
        targets = np.full((len(keys), k), "", dtype=object)
        probabilities = np.zeros((len(keys), k))
        if self.vectorizer_ is None:
            return targets[codes], probabilities[codes]
        for start in range(0, len(keys), CHUNK):
            chunk = slice(start, start + CHUNK)
            features = self.vectorizer_.transform(keys[chunk])
            order, margins = self._ranked(features)
            width = min(k, order.shape[1])
            answered = (np.diff(features.indptr) > 0)[:, None]
            best = self.classes_[order[:, :width]]
            targets[chunk, :width] = np.where(answered, best, "")
            probabilities[chunk, :width] = self._shares(margins)[:, :width] * answered
        return targets[codes], probabilities[codes]

    def _fit_weights(self, pairs: pd.DataFrame) -> Self:
        keys, targets = pairs["key"].to_numpy(object), pairs["target"].to_numpy(object)
        self.classes_ = np.unique(targets)
        self.vectorizer_ = _learned_ngrams(keys, self.ngram_range) if len(keys) else None
        terms = len(self.vectorizer_.vocabulary_) if self.vectorizer_ else 0
        self.weights_ = np.zeros((terms, len(self.classes_)), dtype=np.float32)
        self.intercept_ = np.zeros(len(self.classes_), dtype=np.float32)
        if self.vectorizer_ and len(self.classes_) > 1:
            svc = LinearSVC(C=self.C, tol=1e-2, random_state=self.random_state)
            self._take_over(svc.fit(self.vectorizer_.transform(keys), targets))
        return self

    def _take_over(self, svc: LinearSVC) -> None:
        weights, intercept = svc.coef_.T, svc.intercept_
        if len(self.classes_) == 2:  # liblinear keeps one column for two classes
            weights, intercept = np.hstack([-weights, weights]), np.append(-intercept, intercept)
        self.weights_ = np.ascontiguousarray(weights.astype(np.float16), dtype=np.float32)
        self.intercept_ = intercept.astype(np.float32)

    def _ranked(self, features: csr_matrix) -> tuple[npt.NDArray[np.intp], Floats]:
        """Return class positions by falling margin, and those margins."""
        margins = np.asarray(features @ self.weights_ + self.intercept_, dtype=np.float64)
        order = np.argsort(-margins, axis=1, kind="stable")
        return order, np.take_along_axis(margins, order, axis=1)

    def _shares(self, margins: Floats) -> Floats:
        """Return the probabilities of answers with these falling margins."""
        if self.calibration_ is None:
            top = np.full((len(margins), 1), UNTESTED)
        else:
            intercept, margin, lead = self.calibration_
            top = expit(intercept + _tops(margins) @ np.array([margin, lead]))[:, None]
        if margins.shape[1] == 1:
            return top
        return np.hstack([top, np.minimum(top, (1 - top) * _softmax(margins[:, 1:]))])

    def _calibrate(self, pairs: pd.DataFrame) -> tuple[float, float, float] | None:
        """Fit P(top answer right) out of fold, grouped by key."""
        folds = min(FOLDS, pairs["key"].nunique())
        if folds < 2 or pairs["target"].nunique() < 2:
            return None
        splits = GroupKFold(folds, shuffle=True, random_state=self.random_state)
        parts = [
            self._tested(pairs.iloc[seen], pairs.iloc[unseen])
            for seen, unseen in splits.split(pairs, groups=pairs["key"])
        ]
        tops, correct, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _logistic(tops, correct, weights)

    def _tested(
        self, seen: pd.DataFrame, unseen: pd.DataFrame
    ) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
        """Fit weights on `seen`; return the top margins on `unseen`, correctness and row weights.

        A pair weighs the root of its number of texts: weighed by texts, a few long runs of one
        merchant decide (Brier on unseen Toronto texts 0.153 instead of 0.152).
        """
        model = clone(self)._fit_weights(seen)
        order, margins = model._ranked(model.vectorizer_.transform(unseen["key"]))
        correct = model.classes_[order[:, 0]] == unseen["target"].to_numpy(object)
        return _tops(margins), correct, np.sqrt(unseen["texts"].to_numpy(np.float64))


def make_vectorizer(ngram_range: tuple[int, int], **settings: Any) -> TfidfVectorizer:
    return TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=tuple(ngram_range),
        sublinear_tf=True,
        lowercase=False,  # keys are case-folded already
        dtype=np.float32,
        **settings,
    )


def restore_vectorizer(
    ngram_range: tuple[int, int], terms: Collection[str], idf: npt.NDArray[np.float32]
) -> TfidfVectorizer:
    """Return a vectoriser as fitted, with these n-grams in the order of the weights' rows."""
    restored = make_vectorizer(ngram_range, vocabulary={t: i for i, t in enumerate(terms)})
    restored.idf_ = idf
    return restored


def _learned_ngrams(keys: npt.NDArray[np.object_], ngram_range: tuple[int, int]) -> TfidfVectorizer:
    learned = make_vectorizer(ngram_range).fit(keys)
    in_two_keys = learned.idf_ < np.log((1 + len(keys)) / 2.5) + 1
    kept = in_two_keys if len(keys) >= PRUNE_FROM and in_two_keys.any() else slice(None)
    terms = learned.get_feature_names_out()[kept]
    return restore_vectorizer(ngram_range, terms.tolist(), learned.idf_[kept])


def _keys(texts: Collection[str]) -> list[str]:
    return [group_key(normalize(text)) for text in texts]


def _distinct_pairs(texts: Collection[str], y: Collection[str]) -> pd.DataFrame:
    """Return key, target and the number of texts of each pair; a wordless text teaches nothing."""
    rows = pd.DataFrame({"key": _keys(texts), "target": list(y)}, dtype=object)
    counts = rows[rows["key"] != ""].groupby(["key", "target"]).size()
    return counts.reset_index(name="texts")


def _tops(margins: Floats) -> Floats:
    """Return the best margin of each row and its lead over the next; falling margins in."""
    lead = margins[:, 0] - margins[:, 1] if margins.shape[1] > 1 else np.zeros(len(margins))
    return np.column_stack([margins[:, 0], lead])


def _softmax(margins: Floats) -> Floats:
    raised = np.exp(SHARPNESS * (margins - margins[:, :1]))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _logistic(
    tops: Floats, correct: npt.NDArray[np.bool_], weights: Floats
) -> tuple[float, float, float]:
    """Fit it with one right and one wrong answer added at the mean, so that both always occur."""
    mean = tops.mean(axis=0)
    fitted = LogisticRegression().fit(
        np.vstack([tops, mean, mean]),
        np.append(correct, [True, False]),
        sample_weight=np.append(weights, [1.0, 1.0]),
    )
    margin, lead = fitted.coef_[0].tolist()
    return float(fitted.intercept_[0]), margin, lead
