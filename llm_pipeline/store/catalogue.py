"""The catalogue: targets in, targets out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Target
from llm_pipeline.errors import NotFound, UnknownTarget
from llm_pipeline.store.schema import targets

_successor = targets.alias("successor")
_AT_ONCE = 500  # keys in one query; SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading a catalogue changed."""

    created: int
    changed: int
    total: int


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A target as stored."""

    id: int
    key: str
    name: str
    category: str
    attributes: dict[str, str]
    retired: bool
    merged_into: str | None = None


def load(session: Session, entries: Sequence[Target], offset: int) -> Loaded:
    """Create or update targets by key; the last of equal keys wins, unmentioned ones stay."""
    known = {entry.key: entry for entry in _entries(session)}
    wanted = {entry.key: entry for entry in entries}
    new = [_values(entry, offset) for key, entry in wanted.items() if key not in known]
    changed = [
        entry for key, entry in wanted.items() if key in known and _differs(known[key], entry)
    ]
    if new:
        session.execute(insert(targets), new)
    if changed:
        values = [{**_values(entry, offset), "named": entry.key} for entry in changed]
        query = update(targets).where(targets.c.key == bindparam("named"))
        session.connection().execute(query, values)
    return Loaded(created=len(new), changed=len(changed), total=len(known) + len(new))


def _differs(stored: CatalogueEntry, entry: Target) -> bool:
    before = (stored.name, stored.category, stored.attributes)
    return before != (entry.name, entry.category, entry.attributes)


def _values(entry: Target, offset: int) -> dict[str, object]:
    return {
        "key": entry.key,
        "name": entry.name,
        "category": entry.category,
        "attributes": entry.attributes,
        "changed_offset": offset,
    }


def _entries(session: Session) -> list[CatalogueEntry]:
    return [_entry(row) for row in session.execute(_select())]


def _entry(row: object) -> CatalogueEntry:
    return CatalogueEntry(
        id=row.id,  # type: ignore[attr-defined]
        key=row.key,  # type: ignore[attr-defined]
        name=row.name,  # type: ignore[attr-defined]
        category=row.category,  # type: ignore[attr-defined]
        attributes=row.attributes,  # type: ignore[attr-defined]
        retired=row.retired_at is not None,  # type: ignore[attr-defined]
        merged_into=row.successor,  # type: ignore[attr-defined]
    )


def _select() -> Select[Any]:
    return select(targets, _successor.c.key.label("successor")).select_from(
        targets.outerjoin(_successor, _successor.c.id == targets.c.merged_into)
    )


def get(session: Session, key: str) -> CatalogueEntry:
    """Return an entry by its key, retired or not; `NotFound` if there is none."""
    row = session.execute(_select().where(targets.c.key == key)).first()
    if row is None:
        raise NotFound(f"there is no target {key!r}; GET /api/llm-center/targets lists them")
    return _entry(row)


def entries(session: Session, keys: Sequence[str]) -> dict[str, CatalogueEntry]:
    """Return entries, retired or not, by their keys."""
    found: dict[str, CatalogueEntry] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = _select().where(targets.c.key.in_(keys[start : start + _AT_ONCE]))
        found |= {row.key: _entry(row) for row in session.execute(some)}
    return found


def retire(
    session: Session, keys: Sequence[str], at: datetime, offset: int, into: int | None = None
) -> int:
    """Let targets be chosen no more; `into` is the id of what takes their place. Mappings keep
    pointing at them until `moving` takes them along."""
    result = session.execute(
        update(targets)
        .where(targets.c.key.in_(keys), targets.c.retired_at.is_(None))
        .values(retired_at=at, merged_into=into, changed_offset=offset)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def restore(session: Session, key: str, offset: int) -> None:
    """Let a retired target be chosen again."""
    session.execute(
        update(targets)
        .where(targets.c.key == key)
        .values(retired_at=None, merged_into=None, changed_offset=offset)
    )


def active_ids(session: Session) -> dict[str, int]:
    """Return the id of every target that can be chosen, by key."""
    query = select(targets.c.key, targets.c.id).where(targets.c.retired_at.is_(None))
    return {row.key: row.id for row in session.execute(query)}


def active_target(session: Session, key: str) -> int:
    """Return the id of a target that can be chosen; UnknownTarget if there is none of that key."""
    query = select(targets.c.id).where(targets.c.key == key, targets.c.retired_at.is_(None))
    found = session.scalar(query)
    if found is None:
        raise UnknownTarget(key)
    return int(found)


def still_active(session: Session, target_id: int) -> int:
    """Return the id itself; UnknownTarget if that target was retired."""
    query = select(targets.c.key, targets.c.retired_at).where(targets.c.id == target_id)
    found = session.execute(query).one()
    if found.retired_at is not None:
        raise UnknownTarget(found.key)
    return target_id


def active_targets(session: Session) -> list[Target]:
    """Return every target that can be chosen, in the order of loading."""
    query = select(targets).where(targets.c.retired_at.is_(None)).order_by(targets.c.id)
    return [
        Target(row.key, row.name, row.category, row.attributes) for row in session.execute(query)
    ]


def changed_since(session: Session, offset: int) -> list[CatalogueEntry]:
    """Return what was loaded, renamed or retired after an offset, in the order of loading."""
    query = _select().where(targets.c.changed_offset > offset).order_by(targets.c.id)
    return [_entry(row) for row in session.execute(query)]


def retired_keys(session: Session) -> set[str]:
    """Return the keys that were in the catalogue and are not to be used any more."""
    return set(session.scalars(select(targets.c.key).where(targets.c.retired_at.is_not(None))))


def matches(q: str) -> ColumnElement[bool]:
    """Whether a target's key or name contains `q`, in letters of either case."""
    return or_(
        targets.c.key.icontains(q, autoescape=True), targets.c.name.icontains(q, autoescape=True)
    )


def page(session: Session, q: str, after: str, limit: int) -> list[CatalogueEntry]:
    """Return targets whose key or name contains `q`, by key, from the one after `after`."""
    found = _select().where(targets.c.key > after).order_by(targets.c.key).limit(limit)
    if q:
        found = found.where(matches(q))
    return [_entry(row) for row in session.execute(found)]


def count(session: Session) -> int:
    """Return the number of targets that are not retired."""
    query = select(func.count()).select_from(targets).where(targets.c.retired_at.is_(None))
    return session.scalar(query) or 0


def names(session: Session, keys: Sequence[str]) -> dict[str, str]:
    """Return the names of targets by their keys."""
    query = select(targets.c.key, targets.c.name).where(targets.c.key.in_(keys))
    return {row.key: row.name for row in session.execute(query)}
