"""Waiting mappings like one that was just decided: of the same key, and of keys near to it."""

from dataclasses import dataclass

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from llm_pipeline.store.near_groups import near
from llm_pipeline.store.schema import PENDING_STATUS, mappings

_m = mappings.c
# SQLite would go through all that waits: seconds at a million.
_BY_KEY = ("INDEXED BY ix_mappings_pending_key", "sqlite")


@dataclass(frozen=True, slots=True)
class Alike:
    """A mapping that waits and is like another: `same_key` if they differ by codes only."""

    id: int
    text: str
    rows: int
    same_key: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What is like a mapping: how many mappings and rows in all, and the first of them."""

    mappings: int
    rows: int
    first: list[Alike]


def alike(session: Session, key: str, limit: int) -> Found:
    """Return what waits and is like a key, the same key and then most rows first."""
    keys = [key, *near(session, [key])[key]]
    waits = text(f"mappings.{PENDING_STATUS}"), _m.key.in_(keys)
    counted = select(func.count(), func.coalesce(func.sum(_m.rows), 0)).where(*waits)
    number, rows = session.execute(counted.with_hint(mappings, *_BY_KEY)).one()
    same = _m.key == key
    query = select(_m.id, _m.text, _m.rows, same).where(*waits).with_hint(mappings, *_BY_KEY)
    found = session.execute(query.order_by(same.desc(), _m.rows.desc(), _m.id).limit(limit))
    return Found(number, int(rows), [Alike(row[0], row[1], row[2], bool(row[3])) for row in found])
