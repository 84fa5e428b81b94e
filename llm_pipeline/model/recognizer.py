"""The recogniser: memory first, the linear model for what it does not know, and abstention.

Callers need this module and `bundle` only. No files and no clock.
"""

from collections.abc import Collection, Iterable
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags

from llm_pipeline.domain.records import Candidate, Recognition, State
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.memory import Hit, Memory, progressive_memory

PRIOR_ROWS = 20
# Right when Toronto's purchase-card stream of January 2011 to June 2017 was replayed: 272,644 hits
# of exact texts, and 5,115 hits of keys by texts that were new by their letters.
PRIOR_SHARE = {"exact": 0.988, "key": 0.948}


class Recognizer(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Text to target: exact text, then grouping key, then a linear model on character n-grams.

    The probability of a memory hit is the share of such hits that were right when the history was
    replayed, smoothed by `PRIOR_ROWS` pseudo-observations at `PRIOR_SHARE`: a young history speaks
    with the stream measured before, and its own rows outweigh that from the twenty-first on.

    Parameters
    ----------
    min_probability : below it the answer is `no_match`, but for texts approved by the letter; its
        candidates are kept.
    ngram_range, C, random_state : see `LinearModel`.

    Attributes
    ----------
    memory_ : learns and forgets at once, while other threads recognise.
    linear_ : changes only with `fit`.
    classes_ : targets that the linear model knows.
    memory_probability_ : of an `exact` and of a `key` hit.

    Examples
    --------
    >>> recognizer = Recognizer.empty()
    >>> recognizer.learn("SQ *BLUE BOTTLE 0423", "5814")
    >>> recognizer.predict(["SQ *Blue Bottle 77"]).tolist()
    ['5814']
    """

    def __init__(
        self,
        *,
        min_probability: float = 0.5,
        ngram_range: tuple[int, int] = (2, 5),
        C: float = 0.5,
        random_state: int = 0,
    ) -> None:
        self.min_probability = min_probability
        self.ngram_range = ngram_range
        self.C = C
        self.random_state = random_state

    @classmethod
    def empty(cls) -> Self:
        """Return one that has seen nothing: its memory learns, its linear model has no answer."""
        return cls().fit([], [])

    def fit(
        self,
        X: Collection[str],
        y: Collection[str],
        *,
        teaches: npt.NDArray[np.bool_] | None = None,
        history: pd.DataFrame | None = None,
    ) -> Self:
        """Learn every row by heart, in order; weights only from rows where `teaches` is true.

        `history` (normalized, key, target; a line per labelled row, in time order) calibrates the
        probability of memory hits.
        """
        texts, targets = _columns(X, y)
        taught = np.ones(len(texts), dtype=bool) if teaches is None else np.asarray(teaches)
        if len(taught) != len(texts):
            raise InvalidInput(f"{len(taught)} values of `teaches` for {len(texts)} texts")
        self.memory_ = Memory()
        for text, target in zip(texts, targets, strict=True):
            self.memory_.learn(text, target)
        self.linear_ = self.new_linear().fit(texts[taught].tolist(), targets[taught].tolist())
        self.classes_ = self.linear_.classes_
        self.memory_probability_ = memory_probability(history)
        return self

    def new_linear(self) -> LinearModel:
        """Return the linear model with this recogniser's parameters, not fitted yet."""
        return LinearModel(ngram_range=self.ngram_range, C=self.C, random_state=self.random_state)

    def predict(self, X: Collection[str]) -> npt.NDArray[np.object_]:
        """Return the best target of each text, even of an abstention; "" if there is none."""
        answers = self.recognize(X, 1)
        found = [answer.candidates[0].target if answer.candidates else "" for answer in answers]
        return np.array(found, dtype=object)

    def recognize(
        self,
        X: Collection[str],
        top_k: int = 5,
        *,
        use_memory: bool = True,
        model_version: str | None = None,
    ) -> list[Recognition]:
        """Answer every text in order; each distinct text is worked out once."""
        texts = list(dict.fromkeys(X))
        targets, probabilities = self.linear_.top_k(texts, top_k)
        answers = {}
        for text, names, shares in zip(texts, targets, probabilities.tolist(), strict=True):
            hit = self.memory_.look_up(text) if use_memory else None
            candidates = self._candidates(hit, names, shares)[:top_k]
            answers[text] = self._answer(text, candidates, model_version)
        return [answers[text] for text in X]

    def learn(self, text: str, target: str) -> None:
        self.memory_.learn(text, target)

    def forget(self, text: str) -> None:
        self.memory_.forget(text)

    def _candidates(
        self, hit: Hit | None, names: Iterable[str], shares: Iterable[float]
    ) -> tuple[Candidate, ...]:
        """Put the memory's answer first; the linear model's others share what it leaves over."""
        modelled = [(name, share) for name, share in zip(names, shares, strict=True) if name]
        if hit is None:
            return tuple(Candidate(name, share, "model") for name, share in modelled)
        sure = self.memory_probability_[hit.evidence]
        others = (
            Candidate(name, min(sure, (1 - sure) * share), "model")
            for name, share in modelled
            if name != hit.target
        )
        return (Candidate(hit.target, sure, hit.evidence, hit.example), *others)

    def _answer(
        self, text: str, candidates: tuple[Candidate, ...], model_version: str | None
    ) -> Recognition:
        probability = candidates[0].probability if candidates else 0.0
        # A person has approved this very text: it is answered however rarely such labels last.
        exact = bool(candidates) and candidates[0].evidence == "exact"
        matched = exact or (bool(candidates) and probability >= self.min_probability)
        return Recognition(
            text=text,
            state=State.MATCHED if matched else State.NO_MATCH,
            target=candidates[0].target if matched else None,
            probability=probability,
            candidates=candidates,
            model_version=model_version,
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def memory_probability(history: pd.DataFrame | None) -> dict[str, float]:
    """Return the smoothed share of right answers of `exact` and of `key` hits in the replay."""
    if history is None or history.empty:
        return dict(PRIOR_SHARE)
    replayed = progressive_memory(history).groupby("evidence")["correct"].agg(["sum", "size"])
    counted = replayed.reindex(list(PRIOR_SHARE), fill_value=0)
    return {
        evidence: float((right + PRIOR_ROWS * PRIOR_SHARE[evidence]) / (rows + PRIOR_ROWS))
        for evidence, right, rows in counted.itertuples()
    }


def _columns(
    X: Collection[str], y: Collection[str]
) -> tuple[npt.NDArray[np.object_], npt.NDArray[np.object_]]:
    texts, targets = np.array(X, dtype=object), np.array(y, dtype=object)
    if texts.ndim != 1 or texts.shape != targets.shape:
        raise InvalidInput(
            f"texts of shape {texts.shape} for targets of shape {targets.shape}; "
            "give one target per text, both as flat lists"
        )
    return texts, targets
