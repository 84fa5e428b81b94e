"""Groups that two people must answer, neither seeing the other: what was said, and how well they
agree.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, func, insert, or_, select, text, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action
from llm_pipeline.domain.review import Opinion
from llm_pipeline.store.schema import targets
from llm_pipeline.store.schema_review import OPEN, group_decisions, second_reviews

_first = group_decisions.alias("first")
_second = group_decisions.alias("second")
_OPEN: ColumnElement[bool] = text(f"second_reviews.{OPEN}")  # type: ignore[assignment]
REJECTED = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reviewer said: the id of a target, or None for a rejection."""

    actor: str
    target_id: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A second review that is not closed."""

    id: int
    first: Answer
    second: Answer | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How often two answers were the same; `pairs` counts them by what was said."""

    pairs: dict[tuple[str, str], int]
    waiting: int
    disputed: int


def standing(session: Session, key: str, lot: int) -> Standing | None:
    """Return the second review of a group that is not closed, if there is one."""
    row = session.execute(
        _both(second_reviews.c.id, _first.c.actor, _first.c.target_id)
        .add_columns(_second.c.actor, _second.c.target_id)
        .where(second_reviews.c.key == key, second_reviews.c.lot == lot, _OPEN)
    ).first()
    if row is None:
        return None
    second = None if row[3] is None else Answer(row[3], row[4])
    return Standing(row[0], Answer(row[1], row[2]), second)


def begin(session: Session, key: str, lot: int, group_id: int, at: datetime) -> None:
    """Keep the first answer until a second one comes; one about an earlier group ends."""
    _close(session, second_reviews.c.key == key, at)
    values = {"key": key, "lot": lot, "first_id": group_id}
    session.execute(insert(second_reviews).values(values))


def answer(session: Session, review: Standing, group_id: int, *, agreed: bool) -> None:
    """Keep the second answer."""
    session.execute(
        update(second_reviews)
        .where(second_reviews.c.id == review.id)
        .values(second_id=group_id, agreed=agreed)
    )


def close(session: Session, review: Standing, at: datetime) -> None:
    """The group is settled."""
    _close(session, second_reviews.c.id == review.id, at)


def withdraw(session: Session, group_id: int, at: datetime) -> int:
    """Take back answers that have settled nothing yet; return how many.

    A first answer to which a second one came stands.
    """
    r = second_reviews.c
    last = update(second_reviews).where(r.second_id == group_id, _OPEN)
    taken = session.execute(last.values(second_id=None, agreed=None))
    alone = _close(session, (r.first_id == group_id) & r.second_id.is_(None), at)
    return int(taken.rowcount) + alone  # type: ignore[attr-defined]


def has_answered(actor: str, groups: Table) -> ColumnElement[bool]:
    """Whether somebody is one of those who answered a group that is not settled."""
    said = (
        select(second_reviews.c.id)
        .join(_first, _first.c.id == second_reviews.c.first_id)
        .outerjoin(_second, _second.c.id == second_reviews.c.second_id)
        .where(
            second_reviews.c.key == groups.c.key,
            second_reviews.c.lot == groups.c.shuffle,
            or_(_first.c.actor == actor, _second.c.actor == actor),
            _OPEN,
        )
    )
    return said.exists()


def disputes(session: Session, keys: list[str]) -> dict[tuple[str, int], tuple[Opinion, ...]]:
    """Return both answers where they differ, by key and lot: nobody need be blind any more."""
    one, other = targets.alias("one"), targets.alias("other")
    query = (
        _both(second_reviews.c.key, second_reviews.c.lot, _first.c.actor, _first.c.action)
        .add_columns(one.c.key, _second.c.actor, _second.c.action, other.c.key)
        .outerjoin(one, one.c.id == _first.c.target_id)
        .outerjoin(other, other.c.id == _second.c.target_id)
        .where(second_reviews.c.key.in_(keys), second_reviews.c.second_id.is_not(None), _OPEN)
    )
    return {
        (row[0], row[1]): (
            Opinion(row[2], Action(row[3]), row[4]),
            Opinion(row[5], Action(row[6]), row[7]),
        )
        for row in session.execute(query)
    }


def counts(session: Session) -> Counts:
    """Return all pairs of answers there are, and how many groups wait for another one."""
    one, other = targets.alias("one"), targets.alias("other")
    said = (func.coalesce(one.c.key, REJECTED), func.coalesce(other.c.key, REJECTED))
    pairs = session.execute(
        _both(*said, func.count())
        .outerjoin(one, one.c.id == _first.c.target_id)
        .outerjoin(other, other.c.id == _second.c.target_id)
        .where(second_reviews.c.second_id.is_not(None))
        .group_by(*said)
    )
    pending = select(second_reviews.c.second_id.is_(None), func.count()).where(_OPEN)
    open_ones = {
        bool(alone): number
        for alone, number in session.execute(pending.group_by(second_reviews.c.second_id.is_(None)))
    }
    return Counts(
        pairs={(row[0], row[1]): row[2] for row in pairs},
        waiting=open_ones.get(True, 0),
        disputed=open_ones.get(False, 0),
    )


def _both(*columns: Any) -> Any:
    return (
        select(*columns)
        .select_from(second_reviews)
        .join(_first, _first.c.id == second_reviews.c.first_id)
        .outerjoin(_second, _second.c.id == second_reviews.c.second_id)
    )


def _close(session: Session, which: ColumnElement[bool], at: datetime) -> int:
    closed = update(second_reviews).where(which, _OPEN).values(closed_at=at)
    return int(session.execute(closed).rowcount)  # type: ignore[attr-defined]
