"""Hits on PostgreSQL, one stretch of ids after the other, from the newest or the oldest on.

Its index of tokens gives all hits before the first is seen, a walk along the ids sees rows that no
one wants, and its planner takes tokens for rare or frequent where they are not: a page once took
14.7 s. Stretches as long as the hits seen so far allow keep both ways within what is needed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, func, literal_column, select

from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.documents import BLOCK_BITS, facet, tokens
from llm_pipeline.store.filters import Condition
from llm_pipeline.store.schema import mappings

BY_TOKENS = {"enable_seqscan": "off", "enable_indexscan": "off", "enable_indexonlyscan": "off"}
_BY_ID = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
_FIRST_WALK = 4_096
_LONGEST_WALK = 262_144
# Hits of a stretch that are fetched to be sorted; where there are more, walking is as fast.
_SORTED = 2_000
_BLOCK = 1 << BLOCK_BITS
_GROWTH_OF_WALK = 4
# Behind a stretch without hits they may begin, and all hits of a stretch are read.
_GROWTH = 2
# Of a stretch with too many hits one part after the other is tried.
_PARTS = 8


@dataclass(frozen=True, slots=True)
class Span:
    """Ids to look at: from `after` on, in one direction; at most `limit` are wanted."""

    limit: int
    after: int | None = None
    newest: bool = True

    def holds(self, mapping_id: int) -> bool:
        if self.after is None:
            return True
        return mapping_id < self.after if self.newest else mapping_id > self.after


def checks(asked: Iterable[Condition]) -> list[ColumnElement[bool]]:
    return [one.check for one in asked if not one.tokens or not one.exact]


def holds_any(group: Sequence[str]) -> ColumnElement[bool]:
    """Return PostgreSQL's condition that a document holds one token of a group."""
    return tokens.op("&&")(cast(list(group), ARRAY(Text)))


@dataclass
class _Stretches:
    """Where the next stretch begins and how long it is; `dense`: so many ids from there on have
    too many hits for one stretch."""

    low: int
    high: int
    size: int
    newest: bool
    dense: int = 0

    def next(self) -> tuple[int, int]:
        if self.newest:
            return max(self.low, self.high - self.size + 1), self.high
        return self.low, min(self.high, self.low + self.size - 1)

    def advance(self, hits: int | None, *, walks: bool) -> None:
        """Go on behind a stretch with so many hits, none: too many."""
        if self.newest:
            self.high -= self.size
        else:
            self.low += self.size
        self.dense -= self.size
        if walks:
            self.size = min(_GROWTH_OF_WALK * self.size, _LONGEST_WALK)
        elif hits is not None and self.dense <= 0:
            self.size *= max(1, _SORTED // (2 * hits)) if hits else _GROWTH
            if 2 * self.size >= self.left:
                self.size = self.left

    @property
    def left(self) -> int:
        return self.high - self.low + 1

    def begin_again(self) -> None:
        """Go on in parts where one stretch has too many hits."""
        self.dense = self.size
        self.size = max(_BLOCK, self.size // _PARTS)

    def are_left(self) -> bool:
        return self.left > 0


def ids(
    deadline: Deadline, asked: Sequence[Condition], span: Span, *, sparse: bool = False
) -> list[int]:
    """Return ids that fulfil every condition, in the order of the span."""
    return first(deadline, asked, span, sparse=sparse)[0]


def first(
    deadline: Deadline,
    asked: Sequence[Condition],
    span: Span,
    cap: int = 0,
    *,
    sparse: bool = False,
) -> tuple[list[int], int | None]:
    """Return the ids of a span, and with them how many mappings fulfil the conditions in all from
    there on, up to `cap` + 1; none if rows were passed by that nobody counted.

    `sparse` says that there are probably so few that the first stretch may be all there is.
    """
    found: list[int] = []
    seen: int | None = 0
    for ahead, walks in _ahead(deadline, asked, span, sparse=sparse):
        rest = span.limit - len(found)
        if rest:
            rows, number = _next(deadline, asked, ahead, (rest, cap), walks=walks)
            if rows is None:
                ahead.begin_again()
                continue
            found += rows
        else:
            number = _counted(deadline, asked, ahead, cap + 1 - (seen or 0), walks=walks)
        seen = None if seen is None or number is None else seen + number
        if len(found) == span.limit and (seen is None or seen > cap):
            break
        ahead.advance(number, walks=walks)
    return found, seen if seen is None else min(seen, cap + 1)


def _next(
    deadline: Deadline,
    asked: Sequence[Condition],
    ahead: _Stretches,
    limits: tuple[int, int],
    *,
    walks: bool,
) -> tuple[list[int] | None, int | None]:
    """Return the next ids of a stretch, none if it is too long; and how many it has, or that they
    are more than the second limit."""
    rest, cap = limits
    place = mappings.c.id.desc() if ahead.newest else mappings.c.id
    walked = _walked(asked, ahead.next()).order_by(place).limit(rest)
    number = None
    if not walks:
        most = max(rest, _SORTED)
        looked_up = _looked_up(deadline, asked, ahead.next()).limit(most + 1)
        rows = deadline.rows(looked_up, **BY_TOKENS)
        number = len(rows)
        if number <= most:
            return sorted((row[0] for row in rows), reverse=ahead.newest)[:rest], number
        if ahead.size > _BLOCK:
            return None, None
        number = number if number > cap else None
    rows = deadline.rows(walked, **_BY_ID)
    return [row[0] for row in rows], len(rows) if len(rows) < rest else number


def count(deadline: Deadline, asked: Sequence[Condition], limit: int) -> int:
    """Return how many mappings fulfil every condition, counting up to a limit."""
    found = 0
    for ahead, walks in _ahead(deadline, asked, Span(limit)):
        number = _counted(deadline, asked, ahead, limit - found, walks=walks)
        found += number
        if found == limit:
            break
        ahead.advance(number, walks=walks)
    return found


def _counted(
    deadline: Deadline, asked: Sequence[Condition], ahead: _Stretches, limit: int, *, walks: bool
) -> int:
    stretch = ahead.next()
    within = _walked(asked, stretch) if walks else _looked_up(deadline, asked, stretch)
    counted = select(func.count()).select_from(within.limit(limit).subquery())
    rows = deadline.rows(counted, **(_BY_ID if walks else BY_TOKENS))
    return int(rows[0][0]) if rows else 0


def _ahead(
    deadline: Deadline, asked: Sequence[Condition], span: Span, *, sparse: bool = False
) -> Iterator[tuple[_Stretches, bool]]:
    """Yield where to look, as long as there is time and something left, and whether to walk there.

    Facets are walked for a little way first: most mappings may have them.
    """
    low, high = ends(deadline)
    if span.after is not None:
        low, high = (low, span.after - 1) if span.newest else (span.after + 1, high)
    held = any(one.tokens for one in asked)
    ahead = _Stretches(low, high, _FIRST_WALK, span.newest)
    if not held or not any(one.is_words for one in asked):
        while ahead.are_left() and not deadline.reached:
            yield ahead, True
            if held:
                break
    if held:
        ahead.size = ahead.left if sparse else _BLOCK
        while ahead.are_left() and not deadline.reached:
            yield ahead, False


def _walked(asked: Sequence[Condition], stretch: tuple[int, int]) -> Select[Any]:
    checked = (one.check for one in asked)
    return select(mappings.c.id).where(mappings.c.id.between(*stretch), *checked)


def _looked_up(
    deadline: Deadline, asked: Sequence[Condition], stretch: tuple[int, int]
) -> Select[Any]:
    held = [holds_any(one.tokens) for one in asked if one.tokens]
    low, high = ends(deadline)
    # To leave out what is elsewhere costs more than to read it, unless most is elsewhere.
    if 2 * (stretch[1] - stretch[0]) < high - low:
        blocks = range(stretch[0] >> BLOCK_BITS, (stretch[1] >> BLOCK_BITS) + 1)
        held.append(holds_any([facet("k", block) for block in blocks]))
    # `+ 0` keeps the primary key out of it.
    place = mappings.c.id + literal_column("0")
    return select(mappings.c.id).where(*held, *checks(asked), place.between(*stretch))


def ends(deadline: Deadline) -> tuple[int, int]:
    """Return the first and the last id there are."""
    if deadline.ids is None:
        deadline.prepare(**BY_TOKENS)
    if deadline.ids is None:
        both = select(
            *(select(end(mappings.c.id)).scalar_subquery() for end in (func.min, func.max))
        )
        for low, high in deadline.rows(both, **_BY_ID):
            deadline.ids = (low or 1, high or 0)
    return deadline.ids or (1, 0)
