"""The recogniser: memory first, then what looks like the text, and abstention.

Callers need this module and `bundle` only. No files and no clock.
"""

import copy
from collections.abc import Collection, Sequence
from functools import partial
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from llm_pipeline.domain.extra import Extra, Tokens
from llm_pipeline.domain.records import Candidate, Recognition, State, Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.extra import tokens_of
from llm_pipeline.model.features import Ngrams, of_texts
from llm_pipeline.model.lesson import Lesson
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.memory import Hit, Memory
from llm_pipeline.model.merging import after_memory
from llm_pipeline.model.neighbours import VIEWS
from llm_pipeline.model.sources import Approved, CatalogueNames, Objects
from llm_pipeline.model.stacking import Way
from llm_pipeline.model.successors import succeeded
from llm_pipeline.model.trust import Trust, learned, pasts, replay


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
    extra_test_ : whether columns beside the texts help, None if nothing was to test.
    stacking_extra_ : the same with weights that know such columns; None unless they help.
    classes_ : targets that can be answered by what was fitted.
    gone_ : retired targets, and what took their place.

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
        return (self.stacking_extra_ or self.stacking_).serves

    @property
    def extra_used_(self) -> bool:
        """Whether columns beside the text count."""
        return self.stacking_extra_ is not None

    def fit(
        self,
        X: Collection[str],
        y: Collection[str],
        *,
        teaches: npt.NDArray[np.bool_] | None = None,
        history: pd.DataFrame | None = None,
        catalogue: Sequence[Target] = (),
        extra: Sequence[Extra | None] | None = None,
    ) -> Self:
        """Learn every row by heart, in order; weights only from rows where `teaches` is true.

        `history` (normalized, key, target; a line per labelled row, in time order) calibrates the
        probability of memory hits; the names of `catalogue` are candidates from the start. `extra`
        is what columns beside each text say; they count only if weights are tested to be better.
        """
        texts, targets = _columns(X, y)
        taught = np.ones(len(texts), dtype=bool) if teaches is None else np.asarray(teaches)
        if len(taught) != len(texts):
            raise InvalidInput(f"{len(taught)} values of `teaches` for {len(texts)} texts")
        told = np.fromiter(tokens_of(extra, len(texts)), dtype=object, count=len(texts))[taught]
        self._remember(texts.tolist(), targets.tolist(), history)
        self._index(catalogue)
        lesson = Lesson(
            texts=texts[taught].tolist(),
            targets=targets[taught].tolist(),
            first_seen=None if history is None or history.empty else _first_seen(history),
            keys=len(self.memory_.latest),
            approved=self.approved_,
            names=self.names_,
            threads=self.n_jobs,
        )
        linear = LinearModel(C=self.C, random_state=self.random_state)
        self.linear_ = lesson.weights(linear)
        self.stacking_ = lesson.stacking(self.linear_)
        self.extra_test_, self.stacking_extra_ = lesson.columns(self.linear_, told.tolist())
        known = {*targets.tolist(), *(target.key for target in catalogue)}
        self.classes_ = np.array(sorted(known), dtype=object)
        return self

    def variants(self) -> "dict[Way, Recognizer]":
        """Return a recogniser for each way of answering; all share what they know."""
        found = {}
        for way in self.stacking_.ways:
            found[way] = copy.copy(self)
            found[way].stacking_ = self.stacking_.serving(way)
            if self.stacking_extra_ is not None:
                found[way].stacking_extra_ = self.stacking_extra_.serving(way)
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
        extra: Sequence[Extra | None] | None = None,
    ) -> list[Recognition]:
        """Answer every text in order; each distinct text is worked out once for all `extra` alike.

        A text that memory knows has that answer alone, unless `explain` asks for all there is.
        Columns that have no weights change nothing.
        """
        check_is_fitted(self)
        answered = partial(
            self._recognized,
            top_k=top_k,
            use_memory=use_memory,
            explain=explain,
            model_version=model_version,
        )
        told = self._known(len(X), extra)
        if told is None:
            texts = list(dict.fromkeys(X))
            answers = dict(zip(texts, answered(texts, None), strict=True))
            return [answers[text] for text in X]
        asked = list(zip(X, told, strict=True))
        found: dict[tuple[str, Tokens], Recognition] = {}
        for beside in (False, True):
            part = [one for one in dict.fromkeys(asked) if bool(one[1]) == beside]
            said = [tokens for _, tokens in part] if beside else None
            found |= zip(part, answered([text for text, _ in part], said), strict=True)
        return [found[one] for one in asked]

    def learn(self, text: str, target: str) -> None:
        """Let a text mean a target from now on, and texts like it be compared with it."""
        self.approved_.learn([(text, target)])

    def learn_all(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Learn texts and targets in this order: a sixtieth of the cost of one after another."""
        self.approved_.learn(pairs)

    def forget(self, text: str) -> None:
        self.memory_.forget(text)

    def learn_names(self, targets: Sequence[Target]) -> None:
        """Let the catalogue's newest names count."""
        self.names_.update(targets)
        for target in targets:
            self.gone_.pop(target.key, None)

    def retire(self, key: str, successor: str | None = None) -> None:
        """Answer a target no more, or its successor."""
        self.names_.drop(key)
        self.gone_[key] = successor

    def _remember(self, texts: list[str], targets: list[str], history: pd.DataFrame | None) -> None:
        self.gone_: dict[str, str | None] = {}
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

    def _known(self, texts: int, extra: Sequence[Extra | None] | None) -> list[Tokens] | None:
        """Return what the columns beside each text say that weights know; None if nothing."""
        told = tokens_of(extra, texts)
        if extra is None or self.stacking_extra_ is None:
            return None
        known = list(map(self.stacking_extra_.linear.vocabulary_.known, told))
        return known if any(known) else None

    def _recognized(
        self,
        texts: list[str],
        told: list[Tokens] | None,
        *,
        top_k: int,
        use_memory: bool,
        explain: bool,
        model_version: str | None,
    ) -> list[Recognition]:
        """Answer each text, by weights that know columns if `told` is what they say."""
        hits = [self.memory_.look_up(text) if use_memory else None for text in texts]
        asked = [place for place, hit in enumerate(hits) if hit is None or explain]
        new, said = [texts[place] for place in asked], told and [told[place] for place in asked]
        stacking = (told and self.stacking_extra_) or self.stacking_
        likely = stacking.candidates(new, top_k, explain, said)
        candidates = dict(zip(asked, likely, strict=True))
        answers = []
        for place, (hit, sure) in enumerate(zip(hits, self._trusted(hits), strict=True)):
            found = candidates.get(place, ())
            if hit is not None:
                found = after_memory(hit, sure, found)[:top_k]
            answers.append(self._answer(texts[place], succeeded(found, self.gone_), model_version))
        return answers

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


def _first_seen(history: pd.DataFrame) -> dict[str, int]:
    """Return the place in time of each grouping key of a history."""
    return {key: place for place, key in enumerate(pd.unique(history["key"]))}


def _columns(X: Collection[str], y: Collection[str]) -> tuple[Objects, Objects]:
    texts, targets = np.array(X, dtype=object), np.array(y, dtype=object)
    if texts.ndim != 1 or texts.shape != targets.shape:
        raise InvalidInput(
            f"texts of shape {texts.shape} for targets of shape {targets.shape}; "
            "give one target per text, both as flat lists"
        )
    return texts, targets
