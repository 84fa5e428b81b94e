"""Two reviewers, one question: who is drawn for a second look, and how well answers agree."""

from collections import Counter
from collections.abc import Mapping
from hashlib import blake2b

_DRAWN_FROM = 2**64


def is_drawn(key: str, lot: int, share: float) -> bool:
    """Whether a group gets a second reviewer; `lot` is its number by lot, so nobody can foresee it.

    >>> sum(is_drawn("shop", lot, 0.2) for lot in range(1000))
    197
    """
    digest = blake2b(f"{lot}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * _DRAWN_FROM


def kappa(pairs: Mapping[tuple[str, str], int]) -> float | None:
    """Return Cohen's kappa of counted pairs of answers (Cohen 1960), None where chance alone would
    always agree.

    >>> kappa({("a", "a"): 20, ("a", "b"): 5, ("b", "a"): 10, ("b", "b"): 15})
    0.4
    """
    number = sum(pairs.values())
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    for (one, other), times in pairs.items():
        first[one] += times
        second[other] += times
    # In whole numbers, so that a perfect agreement is exactly one.
    by_chance = sum(first[answer] * second[answer] for answer in first)
    if by_chance == number * number:
        return None
    agreed = number * sum(times for (one, other), times in pairs.items() if one == other)
    return (agreed - by_chance) / (number * number - by_chance)
