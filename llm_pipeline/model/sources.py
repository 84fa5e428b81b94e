"""Where candidates for a text come from that memory does not know: approved texts like it, and
names of the catalogue. Each answers with calibrated probabilities.
"""

from collections.abc import Collection, Mapping, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from llm_pipeline.domain.records import Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.calibration import Floats
from llm_pipeline.model.features import Ints, Ngrams
from llm_pipeline.model.memory import Memory
from llm_pipeline.model.neighbours import Found, Index

Objects = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]

NEAR = 8  # documents looked at for each text
CLEAR_LEAD = 0.3  # a greater lead over the next target says no more: there may be few texts
SHARPNESS = 3.0  # power of the cosine by which documents share what the nearest one leaves over
_ADDING = Lock()  # a document's number is its place here and in the index: both grow as one
ALIASES = "aliases"  # attribute of a target: further names, apart by | or ;


class Near(NamedTuple):
    """What is like each text: (texts, NEAR), best first; "" and 0 where there is less."""

    target: Objects
    cosine: Floats
    document: Ints
    closeness: Floats  # (texts,): length of the shorter of text and nearest document by the longer

    def scores(self) -> Floats:
        """Return cosine of the nearest, its lead over the next target, and closeness in length."""
        best = self.cosine[:, 0]
        other = np.where(self.target != self.target[:, :1], self.cosine, 0.0).max(axis=1)
        return np.column_stack([best, np.minimum(best - other, CLEAR_LEAD), self.closeness])

    def without(self, targets: Objects) -> "Near":
        """Return what would be found if the catalogue did not have each text's target."""
        others = (self.target != targets[:, None]) & (self.cosine > 0)
        target, cosine, document = _first(others, self.target, self.cosine, self.document)
        return Near(target, cosine, document, self.closeness)

    def right(self, wanted: Objects) -> npt.NDArray[np.bool_]:
        """Return where the nearest document has the wanted target."""
        return np.asarray(self.target[:, 0] == wanted, dtype=bool)

    def beside(self, other: "Near") -> Floats:
        """Return these scores, the other source's, and how near both are if they agree."""
        same = self.target[:, 0] == other.target[:, 0]
        agreed = np.where(same, self.cosine[:, 0] * other.cosine[:, 0], 0.0)
        return np.column_stack([self.scores(), other.scores(), agreed])

    def probabilities(self, sure: Floats) -> Floats:
        """Return the probability of each document's target, the first one's being `sure`."""
        top = np.where(self.cosine[:, 0] > 0, sure, 0.0)
        rest = np.where(self.target != self.target[:, :1], self.cosine, 0.0) ** SHARPNESS
        total = np.maximum(rest.sum(axis=1), 1e-12)
        share = np.minimum(top, 1 - top)[:, None] * rest / total[:, None]
        share[:, 0] = top
        return np.asarray(share)


class Approved:
    """Approved texts as documents, one for each grouping key; memory says what a key means now."""

    def __init__(self, ngrams: Ngrams, memory: Memory) -> None:
        self.index = Index(ngrams)
        self.keys: list[str] = []
        self._known: set[str] = set()
        self._memory = memory

    def add(self, keys: Sequence[str], texts: Sequence[str]) -> None:
        """Add keys, each with a normalised text of it; a key that was forgotten has one already."""
        with _ADDING:
            new = [place for place, key in enumerate(keys) if key not in self._known]
            self._known.update(keys)
            self.keys.extend(keys[place] for place in new)
            self.index.add([texts[place] for place in new])

    def learn(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Let memory learn texts and their targets in this order, and add the keys that are new."""
        keys = [self._memory.learn(text, target) for text, target in pairs]
        new = [(key, text) for key, (text, _) in zip(keys, pairs, strict=True) if key is not None]
        self.add([key for key, _ in new], [normalize(text) for _, text in new])

    def restore(self, keys: Sequence[str], rows: csr_matrix) -> None:
        """Take over keys with the n-gram rows of their documents."""
        if len(keys) != rows.shape[0]:
            raise ValueError(f"{len(keys)} keys for {rows.shape[0]} documents")
        self._known.update(keys)
        self.keys.extend(keys)
        self.index.restore(rows)

    def near(
        self,
        normalized: Sequence[str],
        threads: int = 1,
        first_seen: Mapping[str, int] | None = None,
    ) -> Near:
        """Return the targets of the approved texts nearest to each, but for its own key's.

        With `first_seen`, the place in time of each key, only by those that were there before it.
        """
        found = self.index.search(normalized, NEAR + 1, threads)
        numbers, place = np.unique(found.document, return_inverse=True)
        entries = [self._memory.latest.get(self.keys[n]) if n >= 0 else None for n in numbers]
        target = objects([entry.target if entry else "" for entry in entries])[place]
        keys = objects([self.keys[n] if n >= 0 else "" for n in numbers])[place]
        own = objects([group_key(text) for text in normalized])[:, None]
        kept = (target != "") & (keys != own)
        if first_seen is not None:
            kept &= _times(keys, first_seen) < _times(own, first_seen)
        lengths = np.array([len(entry.text) if entry else 0 for entry in entries])[place]
        return _near(normalized, found, target, lengths, kept)

    def example(self, document: int) -> str | None:
        entry = self._memory.latest.get(self.keys[document])
        return entry.text if entry else None


class CatalogueNames:
    """Names and aliases of the catalogue as documents; targets of one name share a document."""

    def __init__(self, ngrams: Ngrams) -> None:
        self.index = Index(ngrams)
        self.texts: list[str] = []
        self.normalized: list[str] = []
        self.holders: list[tuple[str, ...]] = []
        self._place: dict[str, int] = {}
        self._held: dict[str, tuple[int, ...]] = {}

    def update(self, targets: Sequence[Target]) -> None:
        """Add or rename targets; those of one name keep the order in which they came to it."""
        with _ADDING:
            known = len(self.texts)
            for target in targets:
                wanted = {normalize(name): name for name in names_of(target)}
                wanted.pop("", None)
                self.drop(target.key, kept=wanted)
                self._held[target.key] = tuple(
                    self._hold(normalized, name, target.key) for normalized, name in wanted.items()
                )
            self.index.add(self.normalized[known:])

    def restore(
        self,
        texts: Sequence[str],
        normalized: Sequence[str],
        holders: Sequence[Sequence[str]],
        rows: csr_matrix,
    ) -> None:
        """Take over names with their holders and the n-gram rows of their documents."""
        if not len(texts) == len(normalized) == len(holders) == rows.shape[0]:
            raise ValueError(f"{len(texts)} names for {rows.shape[0]} documents")
        self.texts, self.normalized = list(texts), list(normalized)
        self.holders = [tuple(held) for held in holders]
        self._place = {name: place for place, name in enumerate(normalized)}
        held: dict[str, list[int]] = {}
        for place, keys in enumerate(self.holders):
            for key in keys:
                held.setdefault(key, []).append(place)
        self._held = {key: tuple(places) for key, places in held.items()}
        self.index.restore(rows)

    def drop(self, key: str, *, kept: Collection[str] = ()) -> None:
        """Let no name stand for this target any more, but for those to be kept."""
        for place in self._held.pop(key, ()):
            if self.normalized[place] not in kept:
                self.holders[place] = tuple(held for held in self.holders[place] if held != key)

    def _hold(self, normalized: str, name: str, key: str) -> int:
        """Let a name stand for this target too; return its place."""
        place = self._place.setdefault(normalized, len(self.texts))
        if place == len(self.texts):
            self.normalized.append(normalized)
            self.holders.append(())
            self.texts.append(name)
        if key not in self.holders[place]:
            self.holders[place] = (*self.holders[place], key)
        return place

    def near(self, normalized: Sequence[str], threads: int = 1) -> Near:
        """Return the first target of each of the names nearest to each text."""
        found = self.index.search(normalized, NEAR, threads)
        numbers, place = np.unique(found.document, return_inverse=True)
        held = [self.holders[n] if n >= 0 else () for n in numbers]
        target = objects([keys[0] if keys else "" for keys in held])[place]
        lengths = np.array([len(self.texts[n]) if n >= 0 else 0 for n in numbers])[place]
        return _near(normalized, found, target, lengths, target != "")

    def example(self, document: int) -> str | None:
        return self.texts[document]


def names_of(target: Target) -> list[str]:
    """Return the name of a target and its aliases."""
    aliases = target.attributes.get(ALIASES, "").replace(";", "|").split("|")
    return [target.name, *aliases]


def _near(
    normalized: Sequence[str], found: Found, target: Objects, lengths: Ints, kept: Flags
) -> Near:
    """Return what was found, without what is not kept; `lengths` are of the documents."""
    target, cosine, document, lengths = _first(kept, target, found.cosine, found.document, lengths)
    own = np.array([len(text) for text in normalized], dtype=np.float64)
    nearest = lengths[:, 0]
    closeness = np.minimum(own, nearest) / np.maximum(np.maximum(own, nearest), 1)
    return Near(target[:, :NEAR], cosine[:, :NEAR], document[:, :NEAR], closeness)


def _first(
    kept: Flags, target: Objects, cosine: Floats, *others: Ints
) -> tuple[npt.NDArray[Any], ...]:
    """Move what is kept to the front of each row, in its order; the rest has no target."""
    order = np.argsort(~kept, axis=1, kind="stable")
    told = (np.where(kept, target, ""), np.where(kept, cosine, 0.0), *others)
    return tuple(np.take_along_axis(column, order, axis=1) for column in told)


def _times(keys: Objects, first_seen: Mapping[str, int]) -> Ints:
    last = len(first_seen)
    return np.array([first_seen.get(key, last) for key in keys.ravel()]).reshape(keys.shape)


def objects(values: Sequence[object]) -> Objects:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
