"""Which mappings fulfil conditions, newest or oldest first: through the index, or row by row."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    Text,
    and_,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
    true,
)

from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.documents import BLOCK_BITS, facet, tokens
from llm_pipeline.store.filters import Condition
from llm_pipeline.store.schema import mappings

_index = table("search", column("rowid"), column("search"))

# PostgreSQL's planner takes tokens for rare or for frequent where they are not, and once needed
# 14.7 s for a page: it is told whether to use the index of tokens or to follow the ids.
_BY_TOKENS = {"enable_seqscan": "off", "enable_indexscan": "off", "enable_indexonlyscan": "off"}
_BY_ID = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
_FIRST_WALK = 4_096
_LONGEST_WALK = 262_144
_WHOLE = 1 << 62


# To give the next of so many postings an index looks at each of them, and PostgreSQL's a whole
# stretch at a time.
AT_ONCE = {"sqlite": 64, "postgresql": 256}


def at_once(deadline: Deadline) -> int:
    """Return how many words the index is best asked for at once."""
    return AT_ONCE["sqlite" if deadline.is_sqlite else "postgresql"]


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


def ids(deadline: Deadline, asked: Sequence[Condition], span: Span) -> list[int]:
    """Return ids that fulfil every condition, in the order of the span."""
    if deadline.is_sqlite:
        return [row[0] for row in deadline.rows(_sqlite(asked, span))]
    found: list[int] = []
    for query, planner in _postgresql(deadline, asked, span):
        query = query.limit(span.limit - len(found))
        order = mappings.c.id.desc() if span.newest else mappings.c.id
        found += [row[0] for row in deadline.rows(query.order_by(order), **planner)]
        if len(found) == span.limit or deadline.reached:
            break
    return found


def count(deadline: Deadline, asked: Sequence[Condition], limit: int) -> int:
    """Return how many mappings fulfil every condition, counting up to a limit."""
    if deadline.is_sqlite:
        return _counted(deadline, _sqlite(asked, Span(limit)), {})
    found = 0
    for query, planner in _postgresql(deadline, asked, Span(limit)):
        found += _counted(deadline, query.limit(limit - found), planner)
        if found == limit or deadline.reached:
            break
    return found


def _counted(deadline: Deadline, query: Select[Any], planner: dict[str, str]) -> int:
    rows = deadline.rows(select(func.count()).select_from(query.subquery()), **planner)
    return int(rows[0][0]) if rows else 0


def clause(asked: Sequence[Condition], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Return the conditions as one for `WHERE`, for statements over everything that matches."""
    held = [one.tokens for one in asked if one.tokens]
    if is_sqlite and held:
        inside = mappings.c.id.in_(select(_index.c.rowid).where(matches(held)))
        return and_(inside, *_checks(asked))
    return and_(true(), *map(holds_any, held), *_checks(asked))


def matching(
    asked: Sequence[Condition], *columns: ColumnElement[Any], is_sqlite: bool
) -> tuple[Select[Any], dict[str, str]]:
    """Return a query of columns over everything that matches, and how PostgreSQL is to run it."""
    held = [one.tokens for one in asked if one.tokens]
    query = select(*columns).where(*_checks(asked))
    if not held:
        return query, {}
    if is_sqlite:
        return _joined(query).where(matches(held)), {}
    return query.where(*map(holds_any, held)), _BY_TOKENS


def _joined(query: Select[Any]) -> Select[Any]:
    # `+` keeps SQLite from starting at the rows.
    started = mappings.c.id == literal_column("+search.rowid")
    return query.select_from(_index.join(mappings, started))


def _checks(asked: Iterable[Condition]) -> list[ColumnElement[bool]]:
    return [one.check for one in asked if not one.tokens or not one.exact]


def matches(held: Iterable[Sequence[str]]) -> ColumnElement[bool]:
    """Return FTS5's condition that a document holds one token of each group."""
    groups = ("(" + " OR ".join(f'"{token}"' for token in group) + ")" for group in held)
    return _index.c.search.op("MATCH")(" AND ".join(groups))


def holds_any(group: Sequence[str]) -> ColumnElement[bool]:
    """Return PostgreSQL's condition that a document holds one token of a group."""
    return tokens.op("&&")(cast(list(group), ARRAY(Text)))


def _sqlite(asked: Sequence[Condition], span: Span) -> Select[Any]:
    held, checks = [one.tokens for one in asked if one.tokens], _checks(asked)
    place: Any = _index.c.rowid if held else mappings.c.id
    query = select(place)
    if held:
        query = query.where(matches(held))
    if held and checks:
        query = _joined(query)
    query = query.where(*checks)
    if span.after is not None:
        query = query.where(place < span.after if span.newest else place > span.after)
    return query.order_by(place.desc() if span.newest else place).limit(span.limit)


def _postgresql(
    deadline: Deadline, asked: Sequence[Condition], span: Span
) -> Iterator[tuple[Select[Any], dict[str, str]]]:
    """Yield one query after the other, each over a stretch of ids next to the one before.

    An index of tokens gives all its hits before the first is seen, and a walk sees rows that no
    one wants: stretches that double keep both within what is needed.
    """
    held = [one.tokens for one in asked if one.tokens]
    low, high = _ends(deadline)
    if span.after is not None:
        low, high = (low, span.after - 1) if span.newest else (span.after + 1, high)
    walked = [one.check for one in asked]
    if not held or not any(one.is_words for one in asked):
        for stretch in _stretches(low, high, _FIRST_WALK, _LONGEST_WALK, newest=span.newest):
            yield select(mappings.c.id).where(mappings.c.id.between(*stretch), *walked), _BY_ID
            low, high = (low, stretch[0] - 1) if span.newest else (stretch[1] + 1, high)
            if held:
                break
    if held:
        # `+ 0` keeps the primary key out of it.
        place = mappings.c.id + literal_column("0")
        narrowed = select(mappings.c.id).where(*map(holds_any, held), *_checks(asked))
        for stretch in _stretches(low, high, 1 << BLOCK_BITS, _WHOLE, newest=span.newest):
            blocks = range(stretch[0] >> BLOCK_BITS, (stretch[1] >> BLOCK_BITS) + 1)
            within = holds_any([facet("k", block) for block in blocks])
            yield narrowed.where(within, place.between(*stretch)), _BY_TOKENS


def _ends(deadline: Deadline) -> tuple[int, int]:
    if deadline.ids is None:
        ends = select(func.min(mappings.c.id), func.max(mappings.c.id))
        for low, high in deadline.rows(ends, **_BY_ID):
            deadline.ids = (low or 1, high or 0)
    return deadline.ids or (1, 0)


def _stretches(
    low: int, high: int, size: int, longest: int, *, newest: bool
) -> Iterator[tuple[int, int]]:
    """Yield stretches of ids that double in length, from one end to the other.

    >>> list(_stretches(1, 100, 16, 99, newest=True))
    [(85, 100), (53, 84), (1, 52)]
    >>> list(_stretches(1, 100, 16, 32, newest=False))
    [(1, 16), (17, 48), (49, 80), (81, 100)]
    """
    while low <= high:
        if newest:
            yield max(low, high - size + 1), high
            high -= size
        else:
            yield low, min(high, low + size - 1)
            low += size
        size = min(2 * size, longest)
