"""The linear model for texts that memory does not know, tested on keys its weights had not seen.

It sees grouping keys only: store and order codes carry no meaning here.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GroupKFold
from sklearn.svm import LinearSVC
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from llm_pipeline.domain.extra import Tokens
from llm_pipeline.model.calibration import Floats, Logistic, fitted
from llm_pipeline.model.extra import Vocabulary
from llm_pipeline.model.features import Ints, Ngrams, View, of_texts
from llm_pipeline.model.pairs import distinct_pairs, keys_of, later_keys, told

Answers = tuple[npt.NDArray[np.object_], Floats]

# Word pairs in any order took Banking77 from 0.912 to 0.917 and CLINC150 from 0.926 to 0.930, and
# left Toronto's new merchants as they were (0.364, 0.366).
VIEWS = (View("letters", (2, 5)), View("words", (1, 4)))
SHARPNESS = 8.0  # of the softmax over runners-up: the best of 2-10 by log loss on Toronto's keys
CHUNK = 4096  # distinct keys scored at a time: 11 MB of margins with 350 classes
FOLDS = 3  # 5 gave the same Brier score on unseen Toronto keys, for six fits instead of four
CS = (0.5, 1.0)
# Terms x classes, 240 MB; beyond it the rarest terms go. Without the terms of one key only,
# two thirds of all, Toronto's new merchants fall from 0.375 to 0.368.
MAX_WEIGHTS = 60_000_000
MAX_PAIRS = 100_000  # keys and targets that teach, those of most texts: weights take minutes then
UNTESTED = 0.1  # of an answer that no held-out key could test: below any sensible threshold


@dataclass(frozen=True, slots=True)
class Tested:
    """Answers to keys by weights that had not seen them: a line per taught key and target."""

    key: npt.NDArray[np.object_]
    target: npt.NDArray[np.object_]
    answer: npt.NDArray[np.object_]
    tops: Floats  # (lines, 2): the best margin and its lead over the next
    weight: Floats

    @classmethod
    def nothing(cls, pairs: pd.DataFrame) -> Self:
        """Return pairs of key and target that no weights have answered."""
        none = np.full(len(pairs), "", dtype=object)
        key, target = (pairs[column].to_numpy(object) for column in ("key", "target"))
        return cls(key, target, none, np.zeros((len(pairs), 2)), np.ones(len(pairs)))

    def part(self, chosen: Ints) -> Self:
        return type(self)(*(getattr(self, name)[chosen] for name in self.__slots__))

    def ahead(self, right: npt.NDArray[np.bool_]) -> float:
        """Return by which share of the lines other answers are right more often than these."""
        return float(np.average(right.astype(float) - self.right, weights=self.weight))

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.answer == self.target, dtype=bool)


class LinearModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Linear SVC on n-grams and words of the grouping key, with a calibrated top answer.

    The probability of the top answer is a logistic function of its margin and of its lead over the
    runner-up, fitted on keys that the scoring weights had not seen. Runners-up share the rest. A
    text that shares no term with the training texts gets no answer.

    Parameters
    ----------
    C : inverse regularisation of the SVC; None chooses the one of `CS` with more right answers to
        keys held out: Toronto wants 0.5, Banking77 and CLINC150 want 1, by half a point.
    random_state : seed of the SVC and of the calibration folds.

    Attributes
    ----------
    C_ : the inverse regularisation in use.
    classes_ : target keys, sorted.
    ngrams_ : the fitted terms.
    vocabulary_ : the values of columns beside the text that have weights; without columns none.
    weights_ : (terms, classes) float32 that float16 holds exactly: a saved model answers alike.
    intercept_ : (classes,) float32.
    tested_ : out-of-fold answers; None where there was too little to test on.
    calibration_ : P(right) from margin and lead.

    Examples
    --------
    >>> texts = ["city taxi", "airport taxi", "corner pizza", "pizza house", "taxi", "pizza"]
    >>> model = LinearModel().fit(texts, ["taxi", "taxi", "food", "food", "taxi", "food"])
    >>> model.top_k(["yellow taxi 77"], 1)[0].tolist()
    [['taxi']]
    """

    def __init__(self, *, C: float | None = None, random_state: int = 0) -> None:
        self.C = C
        self.random_state = random_state

    def fit(
        self,
        texts: Collection[str],
        y: Collection[str],
        *,
        first_seen: Mapping[str, int] | None = None,
        extra: Sequence[Tokens] | None = None,
    ) -> Self:
        """Fit weights on all texts, and test such weights on keys they had not seen.

        `first_seen` gives the place in time of each key: then what came before answers what came
        after, as it will in service. Without it keys are held out at random. `extra` is what
        columns beside each text say; a key has those of its last text of the same target.
        """
        pairs = distinct_pairs(texts, y, extra)
        if len(pairs) > MAX_PAIRS:
            pairs = pairs.nlargest(MAX_PAIRS, "texts").sort_index()
        # liblinear runs outside the interpreter's lock: threads are enough for two cores.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
            self.C_, self.tested_ = self._chosen(pairs, first_seen, threads)
        self._fit_weights(pairs)
        self.calibration_ = untested()
        if self.tested_ is not None:
            found = self.tested_
            self.calibration_ = fitted(found.tops, found.right, untested(), found.weight)
        return self

    def top_k(self, texts: Collection[str], k: int) -> Answers:
        """Return the `k` best targets of each text and their probabilities, best first.

        Both are (texts, k); places without an answer hold "" and 0.
        """
        answers, margins = self.margins(keys_of(texts), k + 1)
        return answers[:, :k], shares(margins, self.calibration_(tops(margins)))[:, :k]

    def margins(
        self, keys: Sequence[str], k: int, extra: Sequence[Tokens] | None = None
    ) -> Answers:
        """Return the `k` best targets of each grouping key and their margins, falling.

        Both are (keys, k); places without an answer hold "" and minus infinity. Columns beside the
        text answer nothing alone.
        """
        check_is_fitted(self)
        targets = np.full((len(keys), k), "", dtype=object)
        margins = np.full((len(keys), k), -np.inf)
        for start in range(0, len(keys) if len(self.classes_) else 0, CHUNK):
            chunk = slice(start, min(start + CHUNK, len(keys)))
            terms = self.ngrams_.transform(keys[chunk])
            order, best = self._ranked(self.vocabulary_.beside(terms, extra and extra[chunk]), k)
            answered = (np.diff(terms.indptr) > 0)[:, None]
            width = order.shape[1]
            targets[chunk, :width] = np.where(answered, self.classes_[order], "")
            margins[chunk, :width] = np.where(answered, best, -np.inf)
        return targets, margins

    def _chosen(
        self,
        pairs: pd.DataFrame,
        first_seen: Mapping[str, int] | None,
        threads: ThreadPoolExecutor,
    ) -> tuple[float, Tested | None]:
        choices = CS if self.C is None else (self.C,)
        best, chosen = self._test(pairs, first_seen, choices[0], threads), choices[0]
        for C in choices[1:] if best is not None else ():
            found = self._test(pairs, first_seen, C, threads)
            if found is not None and best is not None and best.ahead(found.right) > 0:
                best, chosen = found, C
        return chosen, best

    def _fit_weights(self, pairs: pd.DataFrame) -> Self:
        keys, targets = pairs["key"].tolist(), pairs["target"].to_numpy(object)
        self.classes_ = np.unique(targets)
        most = MAX_WEIGHTS // max(len(self.classes_), 1)
        self.ngrams_ = Ngrams(VIEWS, max_terms=most)
        self.vocabulary_ = Vocabulary.of(told(pairs) or ())
        features = self.vocabulary_.beside(self.ngrams_.fit_transform(keys), told(pairs))
        self.weights_ = np.zeros((features.shape[1], len(self.classes_)), dtype=np.float32)
        self.intercept_ = np.zeros(len(self.classes_), dtype=np.float32)
        if len(self.classes_) > 1:
            svc = LinearSVC(C=self.C_, tol=1e-2, random_state=self.random_state)
            self._take_over(svc.fit(features, targets))
        return self

    def _take_over(self, svc: LinearSVC) -> None:
        weights, intercept = svc.coef_.T, svc.intercept_
        if len(self.classes_) == 2:  # liblinear keeps one column for two classes
            weights, intercept = np.hstack([-weights, weights]), np.append(-intercept, intercept)
        self.weights_ = np.ascontiguousarray(weights.astype(np.float16), dtype=np.float32)
        self.intercept_ = intercept.astype(np.float32)

    def _ranked(self, features: csr_matrix, k: int) -> tuple[npt.NDArray[np.intp], Floats]:
        """Return the `k` best class positions by falling margin, and those margins."""
        margins = np.asarray(features @ self.weights_ + self.intercept_, dtype=np.float64)
        if k < margins.shape[1]:
            best = np.sort(np.argpartition(-margins, k, axis=1)[:, :k], axis=1)
        else:
            best = np.broadcast_to(np.arange(margins.shape[1]), margins.shape)
        chosen = np.take_along_axis(margins, best, axis=1)
        order = np.argsort(-chosen, axis=1, kind="stable")
        return np.take_along_axis(best, order, axis=1), np.take_along_axis(chosen, order, axis=1)

    def _test(
        self,
        pairs: pd.DataFrame,
        first_seen: Mapping[str, int] | None,
        C: float,
        threads: ThreadPoolExecutor,
    ) -> Tested | None:
        """Answer pairs by weights fitted on others, held out by key."""
        if pairs["key"].nunique() < 2 or pairs["target"].nunique() < 2:
            return None

        def test(split: tuple[Ints, Ints]) -> tuple[Ints, npt.NDArray[np.object_], Floats]:
            seen, unseen = split
            model = clone(self)
            model.C_ = C
            model._fit_weights(pairs.iloc[seen])
            held_out = pairs.iloc[unseen]
            targets, margins = model.margins(held_out["key"].tolist(), 2, told(held_out))
            return unseen, targets[:, 0], tops(margins)

        splits = self._folds(pairs) if first_seen is None else later_keys(pairs, first_seen)
        parts = list(threads.map(test, splits))
        if not parts:
            return None
        at, answer, found = (np.concatenate(column) for column in zip(*parts, strict=True))
        # A pair weighs the root of its number of texts: weighed by texts, a few long runs of one
        # merchant decide (Brier on unseen Toronto texts 0.153 instead of 0.152).
        weight = np.sqrt(pairs["texts"].to_numpy(np.float64)[at])
        key, target = (pairs[column].to_numpy(object)[at] for column in ("key", "target"))
        return Tested(key, target, answer, found, weight)

    def _folds(self, pairs: pd.DataFrame) -> list[tuple[Ints, Ints]]:
        folds = min(FOLDS, pairs["key"].nunique())
        splits = GroupKFold(folds, shuffle=True, random_state=self.random_state)
        return list(splits.split(pairs, groups=pairs["key"]))

    def __sklearn_tags__(self) -> Tags:
        return of_texts(super().__sklearn_tags__())


def untested() -> Logistic:
    """Return what is said of margins that nothing tested."""
    return Logistic(float(np.log(UNTESTED / (1 - UNTESTED))), (0.0, 0.0))


def tops(margins: Floats) -> Floats:
    """Return the best margin of each row and its lead over the next, 0 where there is none."""
    best = np.where(np.isfinite(margins[:, 0]), margins[:, 0], 0.0)
    both = margins.shape[1] > 1 and np.isfinite(margins[:, 1])
    lead = np.where(both, best - np.where(both, margins[:, 1], 0.0), 0.0) if np.any(both) else 0.0
    return np.column_stack([best, np.broadcast_to(lead, best.shape)])


def shares(margins: Floats, top: Floats) -> Floats:
    """Return the probabilities of answers with these falling margins, the first being `top`."""
    answered = np.isfinite(margins[:, 0])
    probabilities = np.zeros(margins.shape)
    probabilities[:, 0] = np.where(answered, top, 0.0)
    rest = margins[answered, 1:]
    if rest.size:
        raised = np.exp(SHARPNESS * (rest - margins[answered, :1]))
        total = np.maximum(raised.sum(axis=1, keepdims=True), 1e-12)
        left = np.minimum(top[answered], 1 - top[answered])[:, None]
        probabilities[answered, 1:] = left * raised / total
    return probabilities
