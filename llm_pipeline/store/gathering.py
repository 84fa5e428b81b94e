"""Hits of conditions that many words fulfil, by some of the words at a time.

To give the next of so many postings the index looks at each of them: 500 words at once cost ten
times as much as the same in tens. And where thousands of words contain a part, some of them are
already in more mappings than are counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from llm_pipeline.store import hits, words
from llm_pipeline.store.asking import Asked
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import Condition
from llm_pipeline.store.stretches import Span, ends

# As many rows are looked at in the time that one part takes.
ROWS_OF_A_PART = 500


@dataclass(frozen=True, slots=True)
class Gathered:
    """The ids of a span, and how many there are in all; `total` none: not counted here."""

    ids: list[int]
    total: int | None = None


def gather(deadline: Deadline, asked: Asked, span: Span, cap: int) -> Gathered:
    """Return the ids of a span, and with the first ones how many there are up to a cap."""
    conditions = asked.conditions
    widest = max(conditions, key=lambda one: len(one.tokens), default=None)
    if asked.is_few or widest is None:
        return _plainly(deadline, conditions, span, cap)
    if len(widest.tokens) > hits.at_once(deadline):
        return _in_parts(deadline, _without(conditions, widest), widest, span, cap)
    if asked.words and not any(w.condition.tokens for w in asked.words):
        return _broad(deadline, asked, span, cap)
    return _plainly(deadline, conditions, span, cap)


def _plainly(deadline: Deadline, conditions: Sequence[Condition], span: Span, cap: int) -> Gathered:
    if span.after is not None:
        return Gathered(hits.ids(deadline, conditions, span))
    return Gathered(*hits.first(deadline, conditions, span, cap))


def _without(conditions: Sequence[Condition], one: Condition) -> list[Condition]:
    return [other for other in conditions if other is not one]


def _parts(deadline: Deadline, condition: Condition, tokens: Iterable[str]) -> Iterator[Condition]:
    rest = iter(tokens)
    while some := tuple(islice(rest, hits.at_once(deadline))):
        yield replace(condition, tokens=some)


def _in_parts(
    deadline: Deadline, rest: list[Condition], widest: Condition, span: Span, cap: int
) -> Gathered:
    """Each part gives its first ids: the first of all are among them, and while they are not more
    than the cap, each gives all. Once only the first are wanted, they may be as soon met by looking
    at the rows up to the last of those that are known."""
    counts = span.after is None
    found: set[int] = set()
    sparse = False
    parts = list(_parts(deadline, widest, widest.tokens))
    for left, part in zip(reversed(range(len(parts))), parts, strict=True):
        limit = max(span.limit, cap + 1 if counts and len(found) <= cap else 0)
        some = hits.ids(deadline, [*rest, part], replace(span, limit=limit), sparse=sparse)
        found.update(some)
        sparse = len(some) < limit
        only_first = not counts or len(found) > cap
        if only_first and _is_near(deadline, span, found, left * ROWS_OF_A_PART):
            rows = [replace(one, tokens=()) for one in (*rest, widest)]
            found.update(hits.ids(deadline, rows, span))
            break
    ids = sorted(found, reverse=span.newest)[: span.limit]
    return Gathered(ids, min(len(found), cap + 1) if counts else None)


def _is_near(deadline: Deadline, span: Span, found: set[int], rows: int) -> bool:
    """Whether so many ids of the span are known, and the last of these is within some rows."""
    if len(found) < span.limit:
        return False
    last = sorted(found, reverse=span.newest)[span.limit - 1]
    low, high = ends(deadline)
    begin = span.after if span.after is not None else high if span.newest else low
    return abs(begin - last) <= rows


def _broad(deadline: Deadline, asked: Asked, span: Span, cap: int) -> Gathered:
    """Where there are more than the cap, the first are soon met by looking at rows."""
    driver = max(asked.words, key=lambda word: len(word.part))
    rest = _without(asked.conditions, driver.condition)
    meant = words.vocabulary(deadline.session).containing(driver.part)
    found: set[int] = set()
    for part in _parts(deadline, driver.condition, chain(driver.near, meant)):
        found.update(hits.ids(deadline, [*rest, part], Span(cap + 1)))
        if len(found) > cap or deadline.reached:
            return Gathered(hits.ids(deadline, asked.conditions, span), cap + 1)
    ids = [one for one in found if span.holds(one)]
    return Gathered(sorted(ids, reverse=span.newest)[: span.limit], len(found))
