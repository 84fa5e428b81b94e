"""Which mappings fulfil conditions, newest or oldest first: through the index, or row by row."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    column,
    func,
    literal_column,
    select,
    table,
    true,
)

from llm_pipeline.store import stretches
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import Condition
from llm_pipeline.store.schema import mappings
from llm_pipeline.store.stretches import BY_TOKENS, Span, checks, holds_any

_index = table("search", column("rowid"), column("search"))

# To give the next of so many postings an index looks at each of them, and PostgreSQL's a whole
# stretch at a time.
AT_ONCE = {"sqlite": 64, "postgresql": 256}


def at_once(deadline: Deadline) -> int:
    """Return how many words the index is best asked for at once."""
    return AT_ONCE["sqlite" if deadline.is_sqlite else "postgresql"]


def ids(
    deadline: Deadline, asked: Sequence[Condition], span: Span, *, sparse: bool = False
) -> list[int]:
    """Return ids that fulfil every condition, in the order of the span; `sparse`: probably few."""
    if deadline.is_sqlite:
        return [row[0] for row in deadline.rows(_sqlite(asked, span))]
    return stretches.ids(deadline, asked, span, sparse=sparse)


def first(
    deadline: Deadline, asked: Sequence[Condition], span: Span, cap: int
) -> tuple[list[int], int | None]:
    """Return ids, and how many there are up to one more than a cap where that comes with them."""
    if deadline.is_sqlite:
        return ids(deadline, asked, span), None
    return stretches.first(deadline, asked, span, cap)


def count(deadline: Deadline, asked: Sequence[Condition], limit: int) -> int:
    """Return how many mappings fulfil every condition, counting up to a limit."""
    if not deadline.is_sqlite:
        return stretches.count(deadline, asked, limit)
    rows = deadline.rows(select(func.count()).select_from(_sqlite(asked, Span(limit)).subquery()))
    return int(rows[0][0]) if rows else 0


def clause(asked: Sequence[Condition], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Return the conditions as one for `WHERE`, for statements over everything that matches."""
    held = [one.tokens for one in asked if one.tokens]
    if is_sqlite and held:
        inside = mappings.c.id.in_(select(_index.c.rowid).where(matches(held)))
        return and_(inside, *checks(asked))
    if held:
        # The expression of the index names bare columns, which a join would make ambiguous.
        found = select(mappings.c.id).where(*map(holds_any, held)).correlate(None)
        return and_(mappings.c.id.in_(found), *checks(asked))
    return and_(true(), *checks(asked))


def matching(
    asked: Sequence[Condition], *columns: ColumnElement[Any], is_sqlite: bool
) -> tuple[Select[Any], dict[str, str]]:
    """Return a query of columns over everything that matches, and how PostgreSQL is to run it."""
    held = [one.tokens for one in asked if one.tokens]
    query = select(*columns).where(*checks(asked))
    if not held:
        return query, {}
    if is_sqlite:
        return _joined(query).where(matches(held)), {}
    return query.where(*map(holds_any, held)), BY_TOKENS


def _joined(query: Select[Any]) -> Select[Any]:
    # `+` keeps SQLite from starting at the rows.
    started = mappings.c.id == literal_column("+search.rowid")
    return query.select_from(_index.join(mappings, started))


def matches(held: Iterable[Sequence[str]]) -> ColumnElement[bool]:
    """Return FTS5's condition that a document holds one token of each group."""
    groups = ("(" + " OR ".join(f'"{token}"' for token in group) + ")" for group in held)
    return _index.c.search.op("MATCH")(" AND ".join(groups))


def _sqlite(asked: Sequence[Condition], span: Span) -> Select[Any]:
    held, checked = [one.tokens for one in asked if one.tokens], checks(asked)
    place: Any = _index.c.rowid if held else mappings.c.id
    query = select(place)
    if held:
        query = query.where(matches(held))
    if held and checked:
        query = _joined(query)
    query = query.where(*checked)
    if span.after is not None:
        query = query.where(place < span.after if span.newest else place > span.after)
    return query.order_by(place.desc() if span.newest else place).limit(span.limit)
