"""What a user could pick instead: fuzzy ratios, TF-IDF cosine, fastText, two linear classifiers.

All get the same preparation, which is generous to them: texts in the product's normalised form,
one row per distinct text with its last label, then the catalogue's names as further texts of their
targets, and each distinct text of a batch answered once. Parameters are set once for all tasks.
"""

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fasttext
import numpy as np
from rapidfuzz import fuzz, process
from scipy import sparse
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_union
from sklearn.svm import LinearSVC
from sparse_dot_topn import sp_matmul_topn

from llm_pipeline.domain.records import Target
from llm_pipeline.domain.text import normalize

CHUNK = 2_048
# Targets x features: LinearSVC holds that array twice, the L-BFGS solver some thirty times.
MOST_WEIGHTS = {"LogisticRegression": 30_000_000, "LinearSVC": 150_000_000}
MANY_TARGETS = 1_000

Ranked = tuple[np.ndarray, np.ndarray]  # targets and scores, one row per text, the best first


class TooManyTargetsError(Exception):
    """A classifier's weights would not fit into memory."""


class Recogniser(Protocol):
    """What the harness measures; `limit` is the most texts it answers in bearable time."""

    name: str
    limit: int | None

    def fit(
        self, texts: Sequence[str], targets: Sequence[str], catalogue: Sequence[Target]
    ) -> None: ...

    def rank(self, texts: Sequence[str], top_k: int) -> Ranked: ...


@dataclass
class Peer:
    """Prepares texts for a method: `learn` a distinct text per row, `best` for distinct texts."""

    name: str
    limit: int | None = None

    def fit(
        self, texts: Sequence[str], targets: Sequence[str], catalogue: Sequence[Target]
    ) -> None:
        last = {normalize(text): target for text, target in zip(texts, targets, strict=True)}
        pairs = dict.fromkeys([*last.items(), *((normalize(t.name), t.key) for t in catalogue)])
        self.classes, codes = np.unique(
            np.array([t for _, t in pairs], object), return_inverse=True
        )
        self.learn([text for text, _ in pairs], codes)

    def rank(self, texts: Sequence[str], top_k: int) -> Ranked:
        places: dict[str, int] = {}
        place = [places.setdefault(normalize(text), len(places)) for text in texts]
        codes, scores = self.best(list(places), min(top_k, len(self.classes)))
        targets = np.where(codes >= 0, self.classes[codes], "")
        return targets[place], scores[place]

    def learn(self, texts: list[str], codes: np.ndarray) -> None:
        raise NotImplementedError

    def best(self, texts: list[str], top_k: int) -> Ranked:
        """Return codes of targets (-1 where there is none) and scores in 0..1."""
        raise NotImplementedError


@dataclass
class Fuzzy(Peer):
    """The learned text with the highest ratio; `comparisons` a group of texts may cost."""

    scorer: Callable[..., float] = fuzz.ratio
    comparisons: int = 0

    def learn(self, texts: list[str], codes: np.ndarray) -> None:
        self.texts, self.codes = texts, codes
        self.limit = max(50, self.comparisons // len(texts))

    def best(self, texts: list[str], top_k: int) -> Ranked:
        rows = max(1, 20_000_000 // len(self.texts))
        found = []
        for start in range(0, len(texts), rows):
            some = texts[start : start + rows]
            ratios = process.cdist(some, self.texts, scorer=self.scorer, workers=2)
            found += [self._nearest(row, top_k) for row in ratios]
        return _distinct(*_stacked(found), top_k)

    def _nearest(self, ratios: np.ndarray, top_k: int) -> Ranked:
        """Return the codes of the nearest texts; of equal ratios the first learned wins."""
        if top_k == 1:
            near = np.array([ratios.argmax()])
        else:
            least = np.partition(ratios, -neighbours(top_k))[-neighbours(top_k)]
            near = np.flatnonzero(ratios >= least)
            near = near[np.argsort(-ratios[near], kind="stable")][: neighbours(top_k)]
        return self.codes[near], ratios[near] / 100


class Cosine(Peer):
    """The learned text with the highest cosine of TF-IDF n-grams, as string_grouper does it."""

    def learn(self, texts: list[str], codes: np.ndarray) -> None:
        self.vectorizer = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 3), sublinear_tf=True, dtype=np.float32
        )
        self.columns = self.vectorizer.fit_transform(texts).T.tocsr()
        self.codes = codes

    def best(self, texts: list[str], top_k: int) -> Ranked:
        near = sp_matmul_topn(
            self.vectorizer.transform(texts),
            self.columns,
            top_n=neighbours(top_k),
            sort=True,
            n_threads=2,
        )
        filled = np.arange(neighbours(top_k)) < np.diff(near.indptr)[:, None]
        rows, cosines = np.full(filled.shape, -1), np.zeros(filled.shape)
        rows[filled], cosines[filled] = near.indices, np.minimum(near.data, 1.0)
        # Of equal names the first wins: catalogues are often in order of importance.
        order = np.lexsort((rows, -cosines.round(5)), axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
        codes = np.where(rows >= 0, self.codes[rows], -1)
        return _distinct(codes, np.take_along_axis(cosines, order, axis=1), top_k)


class FastText(Peer):
    """Its own supervised classifier on words, word pairs and 2- to 5-grams of characters."""

    def learn(self, texts: list[str], codes: np.ndarray) -> None:
        rows = [f"__label__{c} {t}\n" for c, t in zip(codes, texts, strict=True)]
        random.Random(0).shuffle(rows)  # noqa: S311  # rows sorted by target cost it 8 points
        # Over SEC names, one text per target, 50 epochs found 0.17 and 200 epochs 0.38.
        many = len(self.classes) > MANY_TARGETS
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rows.txt")
            path.write_text("".join(rows), encoding="utf-8")
            self.model = fasttext.train_supervised(
                str(path), lr=0.5, wordNgrams=2, minn=2, maxn=5, bucket=500_000, thread=2,
                epoch=200 if many else 50, loss="hs" if many else "softmax", verbose=0,
            )  # fmt: skip

    def best(self, texts: list[str], top_k: int) -> Ranked:
        # `predict` of the package fails on NumPy 2; this is the call it makes.
        lines = [f"{text}\n" for text in texts]
        labels, chances = self.model.f.multilinePredict(lines, top_k, 0.0, "strict")
        prefix = len("__label__")
        return _stacked(
            [
                _padded([int(label[prefix:]) for label in row], np.minimum(chance, 1.0), top_k)
                for row, chance in zip(labels, chances, strict=True)
            ]
        )


@dataclass
class Linear(Peer):
    """TF-IDF of character 2- to 5-grams, words and word pairs, and a linear classifier."""

    classifier: Any = None
    min_df: int = 1

    def learn(self, texts: list[str], codes: np.ndarray) -> None:
        self.features = features(self.min_df)
        columns = self.features.fit_transform(texts)
        weights, most = len(self.classes) * columns.shape[1], _most_weights(self.classifier)
        if weights > most:
            raise TooManyTargetsError(
                f"{len(self.classes):,} targets x {columns.shape[1]:,} features: "
                f"{weights * 8 / 1e9:.1f} GB of weights"
            )
        self.classifier.fit(columns, codes)

    def best(self, texts: list[str], top_k: int) -> Ranked:
        found = []
        for start in range(0, len(texts), CHUNK):
            shares = self._shares(self.features.transform(texts[start : start + CHUNK]))
            order = np.argpartition(-shares, top_k - 1, axis=1)[:, :top_k]
            found.append((order, np.take_along_axis(shares, order, axis=1)))
        codes, scores = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(codes, order, axis=1), np.take_along_axis(scores, order, axis=1)

    def _shares(self, columns: sparse.csr_matrix) -> np.ndarray:
        if hasattr(self.classifier, "predict_proba"):
            return self.classifier.predict_proba(columns)
        return softmax(self.classifier.decision_function(columns), axis=1)


def features(min_df: int) -> FeatureUnion:
    return make_union(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=min_df),
        TfidfVectorizer(
            ngram_range=(1, 2),
            sublinear_tf=True,
            min_df=min_df,
            token_pattern=r"\b\w+\b",  # noqa: S106
        ),
    )


def _most_weights(classifier: Any) -> int:
    return MOST_WEIGHTS[type(classifier).__name__]


def neighbours(top_k: int) -> int:
    """Return how many texts compete for the places: a company can have 25 tickers of one name."""
    return 5 + 5 * top_k


def _distinct(codes: np.ndarray, scores: np.ndarray, top_k: int) -> Ranked:
    """Keep the first, that is the best, place of each target in a row."""
    if top_k == 1:
        return codes[:, :1], scores[:, :1]
    same = codes[:, :, None] == codes[:, None, :]
    repeated = np.tril(same, -1).any(axis=2)
    order = np.argsort(repeated, axis=1, kind="stable")[:, :top_k]
    dropped = np.take_along_axis(repeated, order, axis=1)
    return (
        np.where(dropped, -1, np.take_along_axis(codes, order, axis=1)),
        np.where(dropped, 0.0, np.take_along_axis(scores, order, axis=1)),
    )


def _padded(codes: Sequence[int] | np.ndarray, scores: np.ndarray, top_k: int) -> Ranked:
    short = top_k - len(codes)
    return (
        np.pad(np.asarray(codes, dtype=np.int64), (0, short), constant_values=-1),
        np.clip(np.pad(np.asarray(scores, dtype=np.float64), (0, short)), 0.0, 1.0),
    )


def _stacked(found: list[Ranked]) -> Ranked:
    codes, scores = zip(*found, strict=True)
    return np.stack(codes), np.stack(scores)


PEERS: dict[str, Callable[[], Recogniser]] = {
    "wratio": lambda: Fuzzy("rapidfuzz WRatio", scorer=fuzz.WRatio, comparisons=10_000_000),
    "token_sort": lambda: Fuzzy(
        "rapidfuzz token_sort_ratio", scorer=fuzz.token_sort_ratio, comparisons=60_000_000
    ),
    "cosine": lambda: Cosine("TF-IDF cosine (sparse_dot_topn)"),
    "fasttext": lambda: FastText("fastText"),
    # n-grams of one text only would take 12 GB on the Toronto stream.
    "logistic": lambda: Linear(
        "TF-IDF + LogisticRegression",
        classifier=LogisticRegression(C=10, max_iter=200),
        min_df=2,
    ),
    "svc": lambda: Linear("TF-IDF + LinearSVC", classifier=LinearSVC(C=0.5)),
}
