"""Texts and names that look like a text: an index by n-grams that grows while it is searched.

It knows numbers of documents only; whoever adds them knows what they stand for.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sparse_dot_topn import sp_matmul_topn

from llm_pipeline.model.calibration import Floats
from llm_pipeline.model.features import Ints, Ngrams, View

# Company hit@1 of security descriptions over registered names, no training: letters alone 0.903,
# with the first word 0.909, with skeletons 0.911, with both 0.915; edit distances as further
# features of a learned ranking 0.917, at a tenth of the speed.
VIEWS = (
    View("letters", (3, 3)),
    View("first word", (3, 4), 0.5),
    View("skeleton", (3, 3), 0.7),
)
# Candidates are found by the rarest n-grams of a text, then compared by all. Of 100,000 made-up
# merchants all n-grams find 0.936 at 670 texts a second, the twelve rarest 0.917 at 7,800.
RARE, RARE_OF_MANY, CANDIDATES = 16, 12, 20
SMALL, LARGE = (
    2_000,
    50_000,
)  # documents: below SMALL all n-grams are used, from LARGE on the fewest
GROWTH = 4  # a segment is merged into the one before it once that is less than four times its size


class Found(NamedTuple):
    """Documents like each text: (texts, k), best first; -1 and 0 where there are fewer."""

    document: Ints
    cosine: Floats


class Index:
    """Documents as n-gram rows, in segments that merge as they grow.

    Any number of threads may search while one adds: a search works on the tuple of segments it
    took, and segments are replaced, never changed. A document added costs about as much as it takes
    to turn one text into n-grams, now and then the copying of a segment.
    """

    def __init__(self, ngrams: Ngrams) -> None:
        self.ngrams = ngrams
        self._segments: tuple[_Segment, ...] = ()
        self._adding = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """A lock cannot be pickled, as scikit-learn's own parallel tools do."""
        return _refilled, (self.ngrams, self.rows())

    def __len__(self) -> int:
        segments = self._segments
        return segments[-1].start + segments[-1].size if segments else 0

    def add(self, texts: Sequence[str]) -> None:
        """Number these documents on from the last one."""
        if texts:
            self.ngrams.grow(texts)
            self.restore(self.ngrams.transform(texts))

    def restore(self, rows: csr_matrix) -> None:
        """Add documents that are n-gram rows already."""
        if not rows.shape[0]:
            return
        with self._adding:
            segments = [*self._segments, _Segment.of(rows, len(self))]
            while len(segments) > 1 and segments[-2].size < GROWTH * segments[-1].size:
                last, before = segments.pop(), segments.pop()
                merged = _stacked([before.rows, last.rows])
                segments.append(_Segment.of(merged, before.start))
            self._segments = tuple(segments)

    def rows(self) -> csr_matrix:
        """Return all documents as one matrix of rows."""
        parts = [segment.rows for segment in self._segments]
        empty = self.ngrams.transform([])
        return _stacked([empty, *parts])

    def search(self, texts: Sequence[str], k: int, threads: int = 1) -> Found:
        """Return the `k` documents nearest to each text by cosine."""
        segments = self._segments
        document = np.full((len(texts), k), -1, dtype=np.int64)
        cosine = np.zeros((len(texts), k), dtype=np.float64)
        if not segments or not len(texts):
            return Found(document, cosine)
        rows = self.ngrams.transform(texts)
        parts = [segment.search(rows, k, threads) for segment in segments]
        text, number, near = (np.concatenate(column) for column in zip(*parts, strict=True))
        # Equal cosines keep the order of the documents: the first one added is the answer.
        order = np.lexsort((number, -near.round(6), text))
        text, number, near = text[order], number[order], near[order]
        place = np.arange(len(text)) - np.searchsorted(text, text)
        kept = place < k
        document[text[kept], place[kept]] = number[kept]
        cosine[text[kept], place[kept]] = near[kept]
        return Found(document, cosine)


def _refilled(ngrams: Ngrams, rows: csr_matrix) -> Index:
    index = Index(ngrams)
    index.restore(rows)
    return index


class _Segment(NamedTuple):
    """Documents numbered from `start` on; `terms` is `rows` turned around, a row per n-gram."""

    start: int
    rows: csr_matrix
    terms: csr_matrix

    @classmethod
    def of(cls, rows: csr_matrix, start: int) -> "_Segment":
        return cls(start, rows, rows.T.tocsr())

    @property
    def size(self) -> int:
        return int(self.rows.shape[0])

    def search(self, rows: csr_matrix, k: int, threads: int) -> tuple[Ints, Ints, Floats]:
        """Return text, document number and cosine of what is near, in no order."""
        asked = rows
        if self.size > SMALL:
            frequency = np.diff(_as_long_as(self.terms, rows.shape[1]).indptr)
            # Terms of other segments, or of the other index, find nothing here.
            frequency = np.where(frequency > 0, frequency, self.size + 1)
            asked = _rarest(rows, frequency, RARE if self.size < LARGE else RARE_OF_MANY)
        wanted = max(CANDIDATES, 2 * k)
        terms = _as_long_as(self.terms, rows.shape[1])
        found = sp_matmul_topn(asked, terms, top_n=wanted, n_threads=threads)
        text = np.repeat(np.arange(rows.shape[0]), np.diff(found.indptr))
        if asked is rows:
            return text, found.indices + self.start, found.data
        near = _as_wide_as(self.rows[found.indices], rows.shape[1])
        exact = rows[text].multiply(near).sum(axis=1)
        return text, found.indices + self.start, np.asarray(exact).ravel()


def _stacked(parts: Sequence[csr_matrix]) -> csr_matrix:
    width = max(part.shape[1] for part in parts)
    return csr_matrix(vstack([_as_wide_as(part, width) for part in parts], format="csr"))


def _as_wide_as(rows: csr_matrix, width: int) -> csr_matrix:
    """Return rows made before terms were added as if they had been made after."""
    return csr_matrix((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], width))


def _as_long_as(terms: csr_matrix, length: int) -> csr_matrix:
    if terms.shape[0] == length:
        return terms
    pointers = np.pad(terms.indptr, (0, length - terms.shape[0]), mode="edge")
    return csr_matrix((terms.data, terms.indices, pointers), shape=(length, terms.shape[1]))


def _rarest(rows: csr_matrix, frequency: Ints, most: int) -> csr_matrix:
    """Keep the `most` rarest terms of each row."""
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    order = np.lexsort((frequency[rows.indices], row))
    place = np.arange(len(order)) - np.repeat(rows.indptr[:-1], np.diff(rows.indptr))
    kept = np.sort(order[place < most])
    pointers = np.concatenate([[0], np.cumsum(np.bincount(row[kept], minlength=rows.shape[0]))])
    return csr_matrix((rows.data[kept], rows.indices[kept], pointers), shape=rows.shape)
