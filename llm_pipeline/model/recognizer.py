"""The recogniser: memory first, then what looks like the text, and abstention.

Callers need this module and `bundle` only. No files and no clock.
"""

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from llm_pipeline.domain.records import Candidate, Recognition, State, Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.features import Ngrams, of_texts
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.memory import Hit, Memory
from llm_pipeline.model.neighbours import VIEWS
from llm_pipeline.model.sources import Approved, CatalogueNames
from llm_pipeline.model.stacking import Stacking, Way
from llm_pipeline.model.trust import Trust, learned, pasts, replay

MAX_CLASSES = 1_500  # more targets than that, or fewer than two keys for each, have no weights


class Recognizer(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Text to target: exact text, then grouping key, then weights, approved texts and names.

    Texts, keys and names that are learned count at once; weights and calibration change with `fit`.

    Parameters
    ----------
    min_probability : below it the answer is `no_match`, but for texts approved by the letter; its
        candidates are kept.
    C, random_state : see `LinearModel`.
    n_jobs : threads that search for texts and names alike.

    Attributes
    ----------
    memory_ : learns and forgets at once, while other threads recognise.
    trust_ : the probability of memory's answers.
    ngrams_ : the terms by which texts and names are alike.
    approved_, names_ : the approved texts and the catalogue's names, searched by likeness.
    linear_ : weights, without classes where there are too many targets for their examples.
    stacking_ : which of them answers what memory does not know, and how sure.
    classes_ : targets that can be answered by what was fitted.

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
        C: float | None = None,
        n_jobs: int = 1,
        random_state: int = 0,
    ) -> None:
        self.min_probability = min_probability
        self.C = C
        self.n_jobs = n_jobs
        self.random_state = random_state

    @classmethod
    def empty(cls) -> Self:
        """Return one that has seen nothing; it learns texts and names."""
        return cls().fit([], [])

    @property
    def serves_(self) -> Way:
        """The name among `variants` of the one that answers."""
        return self.stacking_.serves

    def fit(
        self,
        X: Collection[str],
        y: Collection[str],
        *,
        teaches: npt.NDArray[np.bool_] | None = None,
        history: pd.DataFrame | None = None,
        catalogue: Sequence[Target] = (),
    ) -> Self:
        """Learn every row by heart, in order; weights only from rows where `teaches` is true.

        `history` (normalized, key, target; a line per labelled row, in time order) calibrates the
        probability of memory hits; the names of `catalogue` are candidates from the start.
        """
        texts, targets = _columns(X, y)
        taught = np.ones(len(texts), dtype=bool) if teaches is None else np.asarray(teaches)
        if len(taught) != len(texts):
            raise InvalidInput(f"{len(taught)} values of `teaches` for {len(texts)} texts")
        self._remember(texts.tolist(), targets.tolist(), history)
        self._index(catalogue)
        learned_texts, labels = texts[taught].tolist(), targets[taught].tolist()
        first_seen = None if history is None or history.empty else _first_seen(history)
        self.linear_ = self._weights(learned_texts, labels, first_seen)
        self.stacking_ = Stacking.fitted(
            self.linear_,
            self.approved_,
            self.names_,
            learned_texts,
            labels,
            first_seen=first_seen,
            threads=self.n_jobs,
        )
        known = {*targets.tolist(), *(target.key for target in catalogue)}
        self.classes_ = np.array(sorted(known), dtype=object)
        return self

    def variants(self) -> "dict[Way, Recognizer]":
        """Return a recogniser for each way of answering; all share what they know."""
        found = {}
        for way in self.stacking_.ways:
            found[way] = copy.copy(self)
            found[way].stacking_ = self.stacking_.serving(way)
        return found

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
        explain: bool = False,
        model_version: str | None = None,
    ) -> list[Recognition]:
        """Answer every text in order; each distinct text is worked out once.

        A text that memory knows has that answer alone, unless `explain` asks for all there is.
        """
        check_is_fitted(self)
        texts = list(dict.fromkeys(X))
        hits = [self.memory_.look_up(text) if use_memory else None for text in texts]
        chance = self._trusted(hits)
        asked = [text for text, hit in zip(texts, hits, strict=True) if hit is None or explain]
        likely = dict(zip(asked, self.stacking_.candidates(asked, top_k, explain), strict=True))
        answers = {}
        for text, hit, sure in zip(texts, hits, chance, strict=True):
            candidates = likely.get(text, ())
            if hit is not None:
                candidates = _after_memory(hit, sure, candidates)[:top_k]
            answers[text] = self._answer(text, candidates, model_version)
        return [answers[text] for text in X]

    def learn(self, text: str, target: str) -> None:
        """Let a text mean a target from now on, and texts like it be compared with it."""
        key = self.memory_.learn(text, target)
        if key is not None:
            self.approved_.add([key], [normalize(text)])

    def forget(self, text: str) -> None:
        self.memory_.forget(text)

    def learn_names(self, targets: Sequence[Target]) -> None:
        """Let the catalogue's newest names count."""
        self.names_.update(targets)

    def forget_name(self, key: str) -> None:
        """Drop the names of a target that was retired."""
        self.names_.drop(key)

    def _remember(self, texts: list[str], targets: list[str], history: pd.DataFrame | None) -> None:
        self.memory_, self.trust_ = Memory(), Trust()
        for text, target in zip(texts, targets, strict=True):
            self.memory_.learn(text, target)
        if history is not None and len(history):
            self.trust_ = learned(replay(history))
            self.memory_.set_past(pasts(history, "normalized"), pasts(history, "key"))

    def _index(self, catalogue: Sequence[Target]) -> None:
        newest = {group_key(normalized): normalized for normalized, _ in self.memory_.entries()}
        names = [normalize(target.name) for target in catalogue]
        self.ngrams_ = Ngrams(VIEWS, balanced=True).fit([*newest.values(), *names])
        self.approved_ = Approved(self.ngrams_, self.memory_)
        self.approved_.add(list(newest), list(newest.values()))
        self.names_ = CatalogueNames(self.ngrams_)
        self.names_.update(catalogue)

    def _weights(
        self, texts: list[str], targets: list[str], first_seen: Mapping[str, int] | None
    ) -> LinearModel:
        linear = LinearModel(C=self.C, random_state=self.random_state)
        classes = len(set(targets))
        if classes > MAX_CLASSES or len(self.memory_.latest) < 2 * classes:
            return linear.fit([], [])
        return linear.fit(texts, targets, first_seen=first_seen)

    def _trusted(self, hits: Sequence[Hit | None]) -> list[float]:
        """Return the probability of each hit, 0 where there is none."""
        chance = np.zeros(len(hits))
        places = [place for place, hit in enumerate(hits) if hit is not None]
        chance[places] = self.trust_([hit for hit in hits if hit is not None])
        return chance.tolist()

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
        return of_texts(super().__sklearn_tags__())


def _after_memory(hit: Hit, sure: float, likely: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Put the memory's answer first; others share what it leaves over."""
    others = (
        Candidate(
            c.target, min(sure, (1 - sure) * c.probability), c.evidence, c.example, c.examples
        )
        for c in likely
        if c.target != hit.target
    )
    same = next((c.examples for c in likely if c.target == hit.target), ())
    return (Candidate(hit.target, sure, hit.evidence, hit.example, same), *others)


def _first_seen(history: pd.DataFrame) -> dict[str, int]:
    """Return the place in time of each grouping key of a history."""
    return {key: place for place, key in enumerate(pd.unique(history["key"]))}


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
