"""Whether the stream has changed: what arrives now beside what arrived before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log

REPEAT, NONE = "repeat", "no answer"
EDGES = (0.5, 0.8, 0.9, 0.95, 0.99)
# Population stability index: below 0.1 no change, above 0.25 a large one (Siddiqi 2006).
LARGE = 0.25
FEWEST_RECENT, FEWEST_BEFORE = 500, 2_000
_LEAST_SHARE = 0.001  # an empty band is taken for so much, or the index would have no bound


@dataclass(frozen=True, slots=True)
class Drift:
    """The index, None if too little arrived to tell, and the shares it compares."""

    index: float | None
    recent: int
    before: int
    bands: tuple[tuple[str, float, float], ...] = ()

    @property
    def is_large(self) -> bool:
        return self.index is not None and self.index > LARGE

    def explain(self) -> str:
        """Say how large the change is, and where it is largest."""
        if self.index is None:
            return too_few(self.recent, self.before)
        name, was, now = max(self.bands, key=lambda band: _part(band[1], band[2]))
        return (
            f"population stability index {self.index:.2f} ({LARGE} is a large change); "
            f"'{name}' went from {100 * was:.0f} % to {100 * now:.0f} %"
        )


def band_of(probability: float | None, *, repeat: bool) -> str:
    """Return the band of an answer.

    >>> band_of(0.93, repeat=False), band_of(None, repeat=True), band_of(0.2, repeat=False)
    ('0.9 to 0.95', 'repeat', 'below 0.5')
    """
    if repeat:
        return REPEAT
    if probability is None:
        return NONE
    if probability < EDGES[0]:
        return f"below {EDGES[0]}"
    for low, high in pairwise(EDGES):
        if probability < high:
            return f"{low} to {high}"
    return f"from {EDGES[-1]} on"


def compare(before: Mapping[str, int], recent: Mapping[str, int]) -> Drift:
    """Return how far the bands of recent answers are from those before.

    >>> compare({"repeat": 2000}, {"repeat": 500}).index
    0.0
    """
    sizes = sum(recent.values()), sum(before.values())
    if sizes[0] < FEWEST_RECENT or sizes[1] < FEWEST_BEFORE:
        return Drift(None, *sizes)
    bands = tuple(
        (name, before.get(name, 0) / sizes[1], recent.get(name, 0) / sizes[0])
        for name in sorted({*before, *recent})
    )
    return Drift(stability_index((was, now) for _, was, now in bands), *sizes, bands)


def stability_index(shares: Iterable[tuple[float, float]]) -> float:
    """Return the population stability index of shares before and now.

    >>> round(stability_index([(0.5, 0.5), (0.5, 0.5)]), 3)
    0.0
    >>> round(stability_index([(0.5, 0.8), (0.5, 0.2)]), 3)
    0.416
    """
    return sum(_part(was, now) for was, now in shares)


def too_few(recent: int, before: int) -> str:
    """Say that too little arrived to be compared."""
    return (
        f"{recent} recent and {before} earlier submissions: "
        f"{FEWEST_RECENT} and {FEWEST_BEFORE} are needed"
    )


def _part(was: float, now: float) -> float:
    was, now = max(was, _LEAST_SHARE), max(now, _LEAST_SHARE)
    return (now - was) * log(now / was)
