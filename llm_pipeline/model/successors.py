"""Answers after the catalogue has moved on: weights and approved texts may still name targets that
were retired, or merged into another, since they were learned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llm_pipeline.domain.records import Candidate

Successors = Mapping[str, str | None]


def succeeded(candidates: Sequence[Candidate], gone: Successors) -> tuple[Candidate, ...]:
    """Return candidates with each retired target replaced by its successor, or left out.

    The probabilities of candidates that became one target are those of answers that exclude each
    other, so they add up.

    >>> old, new = Candidate("FB", 0.6, "model"), Candidate("META", 0.3, "name")
    >>> [(c.target, round(c.probability, 6)) for c in succeeded([old, new], {"FB": "META"})]
    [('META', 0.9)]
    """
    if not any(candidate.target in gone for candidate in candidates):
        return tuple(candidates)
    found: dict[str, Candidate] = {}
    for candidate in candidates:
        target = last_successor(candidate.target, gone)
        if target is None:
            continue
        surest = found.setdefault(target, replace(candidate, target=target, probability=0.0))
        chance = min(1.0, surest.probability + candidate.probability)
        found[target] = replace(surest, probability=chance)
    return tuple(sorted(found.values(), key=lambda candidate: -candidate.probability))


def last_successor(target: str, gone: Successors) -> str | None:
    """Follow merges to the target that is left, or to None."""
    seen: set[str] = set()
    current: str | None = target
    while current is not None and current in gone and current not in seen:
        seen.add(current)
        current = gone[current]
    return current
