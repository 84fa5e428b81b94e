"""The orders of a list of mappings, and the position in each at which a page ends.

Newest and oldest follow the ids, which the search index keeps in order. The others sort what was
found, and are refused for more than can be sorted in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, func, literal, select
from sqlalchemy.orm import Session

from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import hits
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import Condition
from llm_pipeline.store.schema import mappings


class Sort(StrEnum):
    """An order; equal ones stand newest first, in the two that rise oldest first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    ROWS = "rows"
    SUREST = "surest"
    LEAST_SURE = "least_sure"
    TEXT = "text"

    @property
    def is_by_id(self) -> bool:
        return self in {Sort.NEWEST, Sort.OLDEST}


@dataclass(frozen=True, slots=True)
class Place:
    """A mapping in an order: its id, and what it is sorted by."""

    id: int
    value: Any = None


_SURE = func.coalesce(mappings.c.probability, 0.0, type_=Float)
_KEYS: dict[Sort, tuple[ColumnElement[Any], bool]] = {
    Sort.ROWS: (mappings.c.rows, True),
    Sort.SUREST: (_SURE, True),
    Sort.LEAST_SURE: (_SURE, False),
    Sort.TEXT: (mappings.c.normalized, False),
}


def position(sort: Sort, place: Place) -> str:
    """Return a place as a word that `place_at` reads.

    >>> position(Sort.ROWS, Place(7, 12))
    'rows:7:12'
    """
    value = "" if sort.is_by_id or sort is Sort.TEXT else repr(place.value)
    return f"{sort.value}:{place.id}:{value}"


def place_at(session: Session, sort: Sort, word: str | None) -> Place | None:
    """Return the place that `position` wrote down for the same order."""
    if word is None:
        return None
    name, _, rest = word.partition(":")
    digits, _, value = rest.partition(":")
    if name != sort.value or not digits.isdecimal() or int(digits) >= 2**63:
        raise InvalidInput(
            f"cursor {word[:40]!r} belongs to another list or another order than {sort.value!r}"
        )
    return Place(int(digits), _value(session, sort, int(digits), value))


def _value(session: Session, sort: Sort, mapping_id: int, value: str) -> Any:
    if sort.is_by_id:
        return None
    if sort is Sort.TEXT:  # it never changes, and may be too long for a cursor
        found = session.scalar(select(mappings.c.normalized).where(mappings.c.id == mapping_id))
        return found or ""
    try:
        return int(value) if sort is Sort.ROWS else float(value)
    except ValueError:
        raise InvalidInput(f"cursor value {value[:40]!r} is no number: pass it unchanged") from None


def places(
    deadline: Deadline, asked: Sequence[Condition], sort: Sort, after: Place | None, limit: int
) -> list[Place]:
    """Return what matches in an order that follows no id, behind a place."""
    key, falls = _KEYS[sort]
    query, planner = hits.matching(asked, mappings.c.id, key, is_sqlite=deadline.is_sqlite)
    if after is not None:
        query = query.where(_behind(key, after, falls=falls))
    ordered = (key.desc(), mappings.c.id.desc()) if falls else (key, mappings.c.id)
    rows = deadline.rows(query.order_by(*ordered).limit(limit), **planner)
    return [Place(*row) for row in rows]


def _behind(key: ColumnElement[Any], after: Place, *, falls: bool) -> ColumnElement[bool]:
    value = literal(after.value)
    if falls:
        return (key < value) | and_(key == value, mappings.c.id < after.id)
    return (key > value) | and_(key == value, mappings.c.id > after.id)
