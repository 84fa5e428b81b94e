"""The review queue: groups of like texts in an order, page by page through the indexes of
`review_groups`. What a group is shown with is in `groups_shown`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, not_, or_, select, text, tuple_
from sqlalchemy.orm import Session

from llm_pipeline.domain.review import Order
from llm_pipeline.store import second_reviews
from llm_pipeline.store.schema import mappings, targets
from llm_pipeline.store.schema_derived import FIRST_SHUFFLED, review_groups
from llm_pipeline.store.schema_operations import leases
from llm_pipeline.store.schema_review import review_skips

# A page and a count look at no more groups than this, whatever a filter leaves of them.
MOST_LOOKED_AT = 10_000
Position = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which groups, and in which order; `target` is what the oldest text of a group is proposed or
    suggested as."""

    order: Order = Order.VALUE
    conflicts: bool = False
    target: str | None = None
    min_rows: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Keys of a page, and the position after which the next one goes on.

    A filter that few groups pass may leave a page short, and it still goes on.
    """

    keys: list[str]
    next_position: Position | None
    total: int
    total_is_exact: bool


_FALLING = (Order.VALUE, Order.UNCERTAIN)
_BY = {
    Order.VALUE: "value",
    Order.UNCERTAIN: "uncertainty",
    Order.OLDEST: "oldest_id",
    Order.RANDOM: "shuffle",
}


def page(session: Session, wanted: Wanted, after: Position | None, limit: int) -> Found:
    """Return the keys of one page, after a position."""
    filters = _filters(session, wanted)
    most = MOST_LOOKED_AT if filters else limit + 1
    looked_at = _first(session, wanted, _in_order(wanted, after), most)
    rows = _passing(session, looked_at, filters, wanted, limit + 1)
    goes_on = rows[limit - 1] if len(rows) > limit else None
    if goes_on is None and filters:
        goes_on = _last_looked_at(session, looked_at)
    total, exact = _count(session, wanted, filters)
    position = None if goes_on is None else (goes_on[0], goes_on[1])
    return Found([row[1] for row in rows[:limit]], position, total, exact)


def next_free(session: Session, order: Order, holder: str, at: datetime, limit: int) -> list[str]:
    """Return the next groups that nobody holds and this person may decide about; those that they
    have skipped come last. Leases that are over must be gone."""
    held = select(leases.c.key)
    s = review_skips.c
    skipped = select(s.key).where(s.holder == holder, s.expires_at > at)
    mine = and_(
        review_groups.c.key.not_in(held),
        not_(second_reviews.has_answered(holder, review_groups)),
    )
    wanted = Wanted(order)
    fresh = _in_order(wanted, None).where(mine, review_groups.c.key.not_in(skipped))
    found = [row[1] for row in session.execute(_first(session, wanted, fresh, limit))]
    if len(found) < limit:
        late = (
            select(s.key)
            .join(review_groups, review_groups.c.key == s.key)
            .where(s.holder == holder, s.expires_at > at, mine)
            .order_by(s.expires_at, s.key)
            .limit(limit - len(found))
        )
        found += session.scalars(late)
    return found


def without_answered(session: Session, holder: str, keys: list[str]) -> list[str]:
    """Leave out groups of which somebody is one of two who answered."""
    query = select(review_groups.c.key).where(
        review_groups.c.key.in_(keys), second_reviews.has_answered(holder, review_groups)
    )
    answered = set(session.scalars(query)) if keys else set()
    return [key for key in keys if key not in answered]


def _in_order(wanted: Wanted, after: Position | None) -> Select[Any]:
    """The groups after a position; conflicts are few, so that they are sorted when not by value."""
    table: Any = review_groups
    if wanted.conflicts:
        few = select(review_groups).where(review_groups.c.conflicts > 0)
        few = few.order_by(review_groups.c.value.desc(), review_groups.c.key.desc())
        table = few.limit(MOST_LOOKED_AT).subquery()
    by, key = table.c[_BY[wanted.order]], table.c.key
    query = select(by.label("at"), key, table.c.rows, table.c.oldest_id)
    if wanted.order is Order.OLDEST:  # a text is in one group only
        return query.where(by > (after[0] if after else 0)).order_by(by)
    falling = wanted.order in _FALLING
    if after is not None:
        here, there = tuple_(by, key), tuple_(literal(after[0]), literal(after[1]))
        query = query.where(here < there if falling else here > there)
    return query.order_by(by.desc(), key.desc()) if falling else query.order_by(by, key)


def _first(session: Session, wanted: Wanted, query: Select[Any], limit: int) -> Select[Any]:
    """Limit a query. The random order has an index of its first groups, and is sorted where those
    are too few."""
    if wanted.order is Order.RANDOM and not wanted.conflicts:
        first = query.where(text(f"review_groups.{FIRST_SHUFFLED}")).limit(limit)
        if session.scalar(select(func.count()).select_from(first.subquery())) == limit:
            return first
    return query.limit(limit)


def _filters(session: Session, wanted: Wanted) -> list[Any]:
    """Conditions as functions of the groups looked at."""
    found: list[Any] = []
    if wanted.min_rows > 0:
        found.append(lambda looked: looked.c.rows >= wanted.min_rows)
    if wanted.target is not None:
        target = session.scalar(select(targets.c.id).where(targets.c.key == wanted.target)) or 0
        found.append(lambda looked: _oldest_is(looked.c.oldest_id, target))
    return found


def _oldest_is(oldest_id: ColumnElement[int], target: int) -> ColumnElement[bool]:
    """As a value and not as a condition, which PostgreSQL would answer from all mappings."""
    m = mappings.c
    says = or_(m.proposed_target_id == target, m.suggested_target_id == target)
    return select(says).where(m.id == oldest_id).scalar_subquery()


def _passing(
    session: Session, looked_at: Select[Any], filters: list[Any], wanted: Wanted, limit: int
) -> list[Any]:
    if not filters:
        return list(session.execute(looked_at))
    looked = looked_at.subquery()
    query = select(looked).where(*(condition(looked) for condition in filters)).limit(limit)
    columns = (looked.c.at, looked.c.key)
    if wanted.order in _FALLING:
        return list(session.execute(query.order_by(*(column.desc() for column in columns))))
    return list(session.execute(query.order_by(*columns)))


def _last_looked_at(session: Session, looked_at: Select[Any]) -> Any:
    last = looked_at.limit(1).offset(MOST_LOOKED_AT - 1)
    return session.execute(last).first()


def _count(session: Session, wanted: Wanted, filters: list[Any]) -> tuple[int, bool]:
    all_of_them = select(review_groups.c.key).limit(MOST_LOOKED_AT + 1)
    if wanted.conflicts:
        all_of_them = all_of_them.where(review_groups.c.conflicts > 0)
    everything = session.scalar(select(func.count()).select_from(all_of_them.subquery())) or 0
    exact = everything <= MOST_LOOKED_AT
    if not filters:
        return min(everything, MOST_LOOKED_AT), exact
    looked = _first(session, wanted, _in_order(wanted, None), MOST_LOOKED_AT).subquery()
    query = select(func.count()).select_from(looked)
    return session.scalar(query.where(*(condition(looked) for condition in filters))) or 0, exact
