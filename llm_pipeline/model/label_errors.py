"""Which labels disagree with what all the others teach, and why.

Three opinions about each text, none of which has seen its own label: a recogniser taught without
its grouping key, the other texts of that key, and its nearest texts.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import NearestNeighbors

from llm_pipeline.domain.records import Recognition, Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.recognizer import Recognizer

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

# How much each opinion counts, and what is added to both shares of the ratio: a compromise between
# Toronto's merchants and Banking77's questions, 3 % of the labels corrupted. Nearest texts that
# counted as much as the others, and floors of 0.0003 to 0.1, found no more on both.
WEIGHTS = {"model": 0.4, "key": 0.4, "nearest": 0.2}
FLOOR = 0.002
# At 3 % wrong labels, of the texts up to half a point below this score one in twelve (Toronto) and
# one in nine (Banking77) was wrong; up to half a point above it one in six and nearly every other.
MIN_SCORE = 4.5
TOP_K = 20  # candidates asked of the recogniser; 50 changed no ranking by more than 0.7 points
CHUNK = 5_000  # texts recognised at a time: 20 candidates of each are held
MOST_NEIGHBOURED = 20_000  # texts whose nearest are looked up: each is compared with all others
EXAMPLES = 3
WORKING_MB = 256  # of cosines at a time


@dataclass(frozen=True, slots=True)
class Example:
    """A text like the doubted one, and its target."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label that is probably wrong; `position` is its place among the texts."""

    position: int
    given: str
    suggested: str
    score: float
    reason: str
    examples: tuple[Example, ...]


class LabelErrors(BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Rank labels by how much more the rest speaks for another target than for the given one.

    Each opinion is a distribution over targets: the calibrated shares of a recogniser that has
    learned no text of the same grouping key; the labels of the other n texts of that key, over
    n + 0.5; the labels of the nearest texts by cosine of character n-grams, weighed by it. `score_`
    is the logarithm of the best other target's share in their weighted mean over that of the given
    one.

    Parameters
    ----------
    recognizer : cloned for each fold; None for one with its defaults.
    folds : how many recognisers are fitted, each without its fold's grouping keys.
    neighbors : nearest texts that are asked.
    random_state : seed of the folds.

    Attributes
    ----------
    classes_ : targets that texts or the catalogue have, sorted.
    model_, key_, nearest_ : the opinions, (texts, classes), sparse.
    score_ : of each text; above 0 the rest favours another target.
    suggested_ : that target of each text; "" where nothing speaks for any other.

    Examples
    --------
    >>> texts = [f"{shop} {n}" for n in range(6) for shop in ("city taxi", "corner pizza")]
    >>> labels = ["taxi", "food"] * 6
    >>> labels[4] = "food"
    >>> errors = LabelErrors().fit(texts, labels)
    >>> texts[int(errors.score_.argmax())], str(errors.suggested_[4])
    ('city taxi 2', 'taxi')
    """

    def __init__(
        self,
        recognizer: Recognizer | None = None,
        *,
        folds: int = 5,
        neighbors: int = 10,
        random_state: int = 0,
    ) -> None:
        self.recognizer = recognizer
        self.folds = folds
        self.neighbors = neighbors
        self.random_state = random_state

    def fit(
        self, X: Collection[str], y: Collection[str], *, catalogue: Sequence[Target] = ()
    ) -> Self:
        """Judge every label: one row per distinct text."""
        self._take(X, y, catalogue)
        self.model_ = self._model_opinion(catalogue)
        self.key_ = self._key_opinion()
        pooled = WEIGHTS["model"] * self.model_ + WEIGHTS["key"] * self.key_
        self.neighbors_ = self._neighbors(np.argsort(-self._compare(pooled)[0], kind="stable"))
        self.nearest_ = (self.neighbors_ @ self._labels()).tocsr() / self.neighbors
        self.score_, best = self._compare(pooled + WEIGHTS["nearest"] * self.nearest_)
        self.suggested_ = np.append(self.classes_, "")[best]
        return self

    def doubts(self, limit: int = 1_000, min_score: float = MIN_SCORE) -> list[Doubt]:
        """Return up to `limit` labels that the rest speaks against, the surest first."""
        doubtful = (self.score_ >= min_score) & (self.suggested_ != "")
        order = np.argsort(-self.score_, kind="stable")
        return [self._doubt(int(at)) for at in order[doubtful[order]][:limit]]

    def _take(self, X: Collection[str], y: Collection[str], catalogue: Sequence[Target]) -> None:
        self.texts_, self.targets_ = np.array(X, dtype=object), np.array(y, dtype=object)
        if not self.texts_.size or self.texts_.shape != self.targets_.shape or self.texts_.ndim > 1:
            raise InvalidInput(
                f"texts of shape {self.texts_.shape} for targets of shape {self.targets_.shape}; "
                "give at least one text and one target per text, both as flat lists"
            )
        named = np.array([target.key for target in catalogue], dtype=object)
        self.classes_ = np.unique(np.concatenate([self.targets_, named]))
        self.codes_ = np.searchsorted(self.classes_, self.targets_)
        self.normalized_ = np.array([normalize(text) for text in self.texts_], dtype=object)
        keys = np.array([group_key(text) for text in self.normalized_], dtype=object)
        self.keys_ = pd.factorize(keys)[0]

    def _labels(self) -> csr_matrix:
        ones = np.ones(len(self.codes_))
        return self._matrix(np.arange(len(self.codes_)), self.codes_, ones)

    def _matrix(self, rows: Ints, columns: Ints, shares: Floats) -> csr_matrix:
        shape = (len(self.texts_), len(self.classes_))
        return csr_matrix((shares, (rows, columns)), shape)

    def _model_opinion(self, catalogue: Sequence[Target]) -> csr_matrix:
        """Ask recognisers that have learned nothing of a text's grouping key."""
        parts = [_answered([], [])]
        folds = min(self.folds, len(np.unique(self.keys_)))
        splits = GroupKFold(max(folds, 2), shuffle=True, random_state=self.random_state)
        pairs = splits.split(self.texts_, groups=self.keys_) if folds > 1 else ()
        for seen, unseen in pairs:
            recognizer = Recognizer() if self.recognizer is None else clone(self.recognizer)
            texts, targets = self.texts_[seen].tolist(), self.targets_[seen].tolist()
            recognizer.fit(texts, targets, catalogue=catalogue)
            for start in range(0, len(unseen), CHUNK):
                rows = unseen[start : start + CHUNK].tolist()
                asked = self.texts_[rows].tolist()
                answers = recognizer.recognize(asked, TOP_K, use_memory=False)
                parts.append(_answered(rows, answers))
        rows, targets, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
        return self._matrix(rows, np.searchsorted(self.classes_, targets), shares)

    def _key_opinion(self) -> csr_matrix:
        """Count the labels of the other texts of a key, over n + 0.5: one text is no proof."""
        own = self._labels()
        rows = np.arange(len(self.keys_))
        members = csr_matrix((np.ones(len(rows)), (self.keys_, rows)))
        others = np.bincount(self.keys_)[self.keys_] - 1
        counted = (members @ own)[self.keys_] - own
        return csr_matrix(counted.multiply(1 / (others + 0.5)[:, None]))

    def _neighbors(self, order: Ints) -> csr_matrix:
        """Return the cosines of each text with its nearest, for the most doubted ones only."""
        asked = order[:MOST_NEIGHBOURED]
        vectorizer = TfidfVectorizer(
            analyzer="char_wb",
            ngram_range=(2, 5),
            sublinear_tf=True,
            lowercase=False,  # normalised texts are case-folded already
            dtype=np.float32,
        )
        features = vectorizer.fit_transform(self.normalized_)
        wanted = min(self.neighbors + 1, len(order))  # a text is its own nearest
        search = NearestNeighbors(n_neighbors=wanted, metric="cosine", algorithm="brute")
        with config_context(working_memory=WORKING_MB):
            distances, found = search.fit(features).kneighbors(features[asked])
        others = found != asked[:, None]
        others &= np.cumsum(others, axis=1) <= self.neighbors
        rows = np.broadcast_to(asked[:, None], found.shape)[others]
        cosines = np.maximum(1 - distances[others], 0)
        return csr_matrix((cosines, (rows, found[others])), (len(order), len(order)))

    def _compare(self, pooled: csr_matrix) -> tuple[Floats, Ints]:
        """Return the score of each text and the best other target, -1 if nothing speaks for any."""
        rows = np.arange(len(self.codes_))
        own = np.asarray(pooled[rows, self.codes_]).ravel()
        others = pooled - self._matrix(rows, self.codes_, own)
        best = np.asarray(others.argmax(axis=1)).ravel()
        shares = np.asarray(others[rows, best]).ravel()
        return np.log((shares + FLOOR) / (own + FLOOR)), np.where(shares > 0, best, -1)

    def _doubt(self, position: int) -> Doubt:
        mates = np.flatnonzero(self.keys_ == self.keys_[position])
        mates = mates[mates != position]
        row = self.neighbors_[[position]]
        near = row.indices[np.argsort(-row.data, kind="stable")]
        suggested = self.suggested_[position]
        alike = [at for at in dict.fromkeys([*mates, *near]) if self.targets_[at] == suggested]
        return Doubt(
            position=position,
            given=self.targets_[position],
            suggested=suggested,
            score=float(self.score_[position]),
            reason=self._reason(position, mates, near),
            examples=tuple(Example(self.texts_[at], suggested) for at in alike[:EXAMPLES]),
        )

    def _reason(self, position: int, mates: npt.NDArray[Any], near: npt.NDArray[Any]) -> str:
        suggested = self.suggested_[position]
        parts = []
        for found, kind in ((mates, "texts that differ only by codes"), (near, "nearest texts")):
            agree = int((self.targets_[found] == suggested).sum())
            if agree:
                parts.append(f"{agree} of {len(found)} {kind} are {suggested}")
        row = self.model_[[position]]
        if row.nnz:
            best, share = self.classes_[row.indices[row.data.argmax()]], row.data.max()
            parts.append(f"a model that never saw it says {best} with {share:.2f}")
        return "; ".join(parts)


def _answered(
    rows: Sequence[int], answers: Sequence[Recognition]
) -> tuple[Ints, npt.NDArray[np.object_], Floats]:
    """Return row, target and probability of every candidate."""
    widths = [len(answer.candidates) for answer in answers]
    candidates = [one for answer in answers for one in answer.candidates]
    return (
        np.repeat(np.array(rows, dtype=np.intp), widths),
        np.array([one.target for one in candidates], dtype=object),
        np.array([one.probability for one in candidates], dtype=np.float64),
    )
