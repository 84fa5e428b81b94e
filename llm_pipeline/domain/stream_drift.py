"""Whether the data has changed: lengths, words and targets of texts, and how many are new.

`drift` compares answers, and stops automatic approval; this one says in reports what changed. The
limits hold on ordinary months: of the 96 of Toronto's stream, `benchmarks/drift.py` counts those
that go over one.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

from llm_pipeline.domain.drift import (
    FEWEST_BEFORE,
    FEWEST_RECENT,
    LARGE,
    stability_index,
    too_few,
)

LENGTHS = (0, 10, 20, 30, 40, 60, 100)
BANDS = (*(f"{low} to {high - 1}" for low, high in pairwise(LENGTHS)), f"from {LENGTHS[-1]} on")
# The most frequent of before and of now are compared one by one, all others together: rare words
# and targets come and go by themselves.
WORDS, TARGETS = 200, 50
NO_TARGET, OTHER = "no target", "all others"
# Jensen-Shannon divergence in bits, from 0 (the same) to 1 (nothing in common), which stays finite
# where a word or target is new. 0.1 is what it comes to when a fifth of all is of one kind that
# never came before. Ordinary months of Toronto have 0.03 for words and 0.02 for targets, and up to
# 0.08: foreign words in a fifth of the rows (0.06) are not told from these, in half of them (0.19)
# they are.
LARGE_DIVERGENCE = 0.1
# A tenth more of what arrives is new than was before. Toronto moves by 0.03 from month to month.
LARGE_RISE = 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    """A text as it arrived: its normalised form, the target it got, and whether it was new then."""

    normalized: str
    target: str | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that may drift: how far it did, its limit, and the shares before and now, of bands
    in their order, of all else the most frequent first."""

    name: str
    measure: str
    value: float
    limit: float
    shares: tuple[tuple[str, float, float], ...]

    @property
    def is_large(self) -> bool:
        return self.value > self.limit

    def explain(self) -> str:
        """Say how large the change is, and where it is largest."""
        name, was, now = max(self.shares, key=lambda one: abs(one[2] - one[1]))
        return (
            f"{self.name}: {self.measure} {self.value:.2f} (over {self.limit:g} is large), "
            f"'{name}' went from {100 * was:.1f} % to {100 * now:.1f} %"
        )


@dataclass(frozen=True, slots=True)
class DataDrift:
    """What was compared; no parts where too little arrived to tell."""

    recent: int
    before: int
    parts: tuple[Part, ...] = ()

    @property
    def large(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.is_large)

    def explain(self) -> str:
        """Say what changed much, or that nothing did."""
        if not self.parts:
            return too_few(self.recent, self.before)
        told = "; ".join(part.explain() for part in self.large)
        return told or "what arrives looks like what arrived before"


def compare_data(before: Sequence[Seen], recent: Sequence[Seen]) -> DataDrift:
    """Compare what arrived recently with what arrived before.

    >>> old = [Seen("uber trip", "UBER", False)] * 2000
    >>> new = [Seen("moon and sun", None, True)] * 500
    >>> [part.name for part in compare_data(old, new).large]
    ['text length', 'words', 'targets', 'new texts']
    >>> compare_data(old, old).explain()
    'what arrives looks like what arrived before'
    """
    if len(recent) < FEWEST_RECENT or len(before) < FEWEST_BEFORE:
        return DataDrift(len(recent), len(before))
    lengths = (Counter(_band(len(one.normalized)) for one in rows) for rows in (before, recent))
    words = (Counter(_words(rows)) for rows in (before, recent))
    targets = (Counter(one.target or NO_TARGET for one in rows) for rows in (before, recent))
    parts = (
        _part("text length", *lengths, limit=LARGE),
        _part("words", *words, limit=LARGE_DIVERGENCE, most=WORDS),
        _part("targets", *targets, limit=LARGE_DIVERGENCE, most=TARGETS),
        _new(before, recent),
    )
    return DataDrift(len(recent), len(before), parts)


def divergence(shares: Iterable[tuple[float, float]]) -> float:
    """Return the Jensen-Shannon divergence of shares before and now, in bits.

    >>> divergence([(1.0, 0.0), (0.0, 1.0)])
    1.0
    >>> round(divergence([(1.0, 0.8), (0.0, 0.2)]), 3)
    0.108
    """
    total = 0.0
    for was, now in shares:
        middle = (was + now) / 2
        total += sum(share * log2(share / middle) / 2 for share in (was, now) if share)
    return total


def _part(
    name: str, before: Counter[str], recent: Counter[str], *, limit: float, most: int = 0
) -> Part:
    if most:
        both = (*before.most_common(most), *recent.most_common(most))
        kept = list(dict.fromkeys(value for value, _ in both))
        before, recent = _folded(before, kept), _folded(recent, kept)
    names = (
        sorted({*before, *recent}) if most else [one for one in BANDS if before[one] or recent[one]]
    )
    shares = tuple((one, _share(before, one), _share(recent, one)) for one in names)
    pairs = [(was, now) for _, was, now in shares]
    if most:
        frequent = tuple(sorted(shares, key=lambda one: -max(one[1:])))
        return Part(name, "Jensen-Shannon divergence", divergence(pairs), limit, frequent)
    return Part(name, "population stability index", stability_index(pairs), limit, shares)


def _new(before: Sequence[Seen], recent: Sequence[Seen]) -> Part:
    was, now = (sum(one.is_new for one in rows) / len(rows) for rows in (before, recent))
    return Part("new texts", "rise of the share", now - was, LARGE_RISE, (("new", was, now),))


def _folded(counts: Counter[str], kept: Sequence[str]) -> Counter[str]:
    found = Counter({value: counts[value] for value in kept})
    found[OTHER] = sum(counts.values()) - sum(found.values())
    return found


def _share(counts: Mapping[str, int], name: str) -> float:
    return counts.get(name, 0) / max(1, sum(counts.values()))


def _band(length: int) -> str:
    return BANDS[bisect_right(LENGTHS, length) - 1]


def _words(rows: Iterable[Seen]) -> Iterable[str]:
    """Words without their digits: numbers of stores and orders are never the same."""
    for one in rows:
        for word in one.normalized.split():
            letters = "".join(c for c in word if not c.isdigit())
            if letters:
                yield letters
