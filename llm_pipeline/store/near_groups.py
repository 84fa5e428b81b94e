"""Groups whose keys are like a group's and that the same decision may settle.

Looked for next to the key in the order of keys, and next to what is left of it without its first
words: a few reads by index, however many groups wait. `blue bottle sf` is so found beside
`blue bottle oakland`, and from `sq blue bottle`.
"""

from collections.abc import Sequence
from typing import Any

from rapidfuzz import fuzz, process
from sqlalchemy import text
from sqlalchemy.orm import Session

NEAR_AT_MOST = 5
LIKE_ENOUGH = 80.0
_NEIGHBOURS = 12
_WORDS_LEFT_OUT = 3
# Four or five selects a group, and SQLite puts at most 500 into one statement.
_GROUPS_AT_ONCE = 50

_BEFORE = """
    SELECT * FROM (SELECT {n} AS place, key FROM review_groups WHERE key < :{name}
        ORDER BY key DESC LIMIT {limit}) AS {name}_before"""
_FROM = """
    SELECT * FROM (SELECT {n} AS place, key FROM review_groups WHERE key >= :{name}
        ORDER BY key LIMIT {limit}) AS {name}_after"""


def near(session: Session, keys: Sequence[str]) -> dict[str, list[str]]:
    """Return for each key the keys of waiting groups that are like it, the most alike first."""
    found = {}
    for first in range(0, len(keys), _GROUPS_AT_ONCE):
        some = keys[first : first + _GROUPS_AT_ONCE]
        for key, candidates in zip(some, _candidates(session, some), strict=True):
            found[key] = _most_alike(key, candidates)
    return found


def _candidates(session: Session, keys: Sequence[str]) -> list[set[str]]:
    arms, values = [], {}
    for n, key in enumerate(keys):
        for left_out, start in enumerate(_starts(key)):
            name = f"key{n}_{left_out}"
            values[name] = start
            same: dict[str, Any] = {"n": n, "name": name, "limit": _NEIGHBOURS}
            arms.append(_FROM.format(**same))
            if not left_out:
                arms.append(_BEFORE.format(**same))
    found: list[set[str]] = [set() for _ in keys]
    for row in session.execute(text(" UNION ALL ".join(arms)), values):
        found[row.place].add(row.key)
    return found


def _starts(key: str) -> list[str]:
    words = key.split()
    return [" ".join(words[n:]) for n in range(min(len(words), _WORDS_LEFT_OUT + 1))]


def _most_alike(key: str, candidates: set[str]) -> list[str]:
    others = sorted(candidates - {key})
    alike = process.extract(
        key, others, scorer=_likeness, limit=NEAR_AT_MOST, score_cutoff=LIKE_ENOUGH
    )
    return [other for other, _score, _place in alike]


def _likeness(one: str, other: str, *, score_cutoff: float | None = None) -> float:
    """Letters alike, in the order of the words or in any: words that only one of them has count,
    because `paypal` is not near to `paypal netflix`."""
    ratios = (fuzz.ratio, fuzz.token_sort_ratio)
    return max(ratio(one, other, score_cutoff=score_cutoff) for ratio in ratios)
