"""Mappings out of the store: one, a page of them, their history, their counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.errors import NotFound
from llm_pipeline.store import search
from llm_pipeline.store.filters import Filter as Filter
from llm_pipeline.store.ordering import Sort
from llm_pipeline.store.schema import (
    ENDED_STATUSES,
    LIVE_STATUSES,
    PENDING_STATUS,
    mappings,
    submissions,
    targets,
)
from llm_pipeline.store.schema_derived import status_counts


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """A mapping as it stands, with target keys instead of ids."""

    id: int
    text: str
    normalized: str
    key: str
    status: Status
    target: str | None
    proposed_target: str | None
    suggested_target: str | None
    probability: float | None
    model_version: str | None
    conflict: bool
    rows: int
    version: int
    note: str
    source: str
    submitter: str
    upload_id: int | None
    live_from: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A page of mappings, and what `search.Found` says of the rest."""

    items: list[StoredMapping]
    next_cursor: str | None
    total: int
    total_is_exact: bool
    timed_out: bool
    read_as: dict[str, tuple[str, ...]]


def _select() -> Select[Any]:
    final, proposed, suggested = (
        targets.alias("final"),
        targets.alias("proposed"),
        targets.alias("suggested"),
    )
    m = mappings.c
    return select(
        m.id,
        m.text,
        m.normalized,
        m.key,
        m.status,
        final.c.key,
        proposed.c.key,
        suggested.c.key,
        m.probability,
        m.model_version,
        m.conflict,
        m.rows,
        m.version,
        m.note,
        m.source,
        m.submitter,
        m.upload_id,
        m.live_from,
        m.created_at,
        m.updated_at,
    ).select_from(
        mappings.outerjoin(final, final.c.id == m.target_id)
        .outerjoin(proposed, proposed.c.id == m.proposed_target_id)
        .outerjoin(suggested, suggested.c.id == m.suggested_target_id)
    )


# Built once: putting it together takes as long as running it for one mapping.
_SELECT = _select()


def _stored(row: Any) -> StoredMapping:
    fields = list(row)
    fields[4] = Status(fields[4])
    return StoredMapping(*fields)


def get(session: Session, mapping_id: int) -> StoredMapping:
    """Return one mapping; `NotFound` if there is none with that id."""
    row = session.execute(_SELECT.where(mappings.c.id == mapping_id)).first()
    if row is None:
        raise NotFound(f"there is no mapping {mapping_id}")
    return _stored(row)


def of_submission(session: Session, offset: int) -> StoredMapping:
    """Return the mapping that the single submission received at `offset` became part of."""
    query = _SELECT.join(submissions, submissions.c.mapping_id == mappings.c.id)
    return _stored(session.execute(query.where(submissions.c.received_offset == offset)).one())


def live(session: Session, normalized: str) -> StoredMapping | None:
    """Return the live mapping of a normalised text, if there is one."""
    query = _SELECT.where(mappings.c.normalized == normalized, text(f"mappings.{LIVE_STATUSES}"))
    row = session.execute(query).first()
    return None if row is None else _stored(row)


def newest_of(session: Session, normalized: str) -> StoredMapping | None:
    """Return what a normalised text stands as: live, else waiting, else as it ended last."""
    at_status = (
        f"mappings.{LIVE_STATUSES}",
        f"mappings.{PENDING_STATUS}",
        f"mappings.{ENDED_STATUSES}",
    )
    for status in at_status:
        query = _SELECT.where(mappings.c.normalized == normalized, text(status))
        row = session.execute(query.order_by(mappings.c.id.desc()).limit(1)).first()
        if row is not None:
            return _stored(row)
    return None


def page(
    session: Session,
    wanted: Filter,
    cursor: str | None,
    limit: int,
    sort: Sort = Sort.NEWEST,
    seconds: float | None = None,
) -> Page:
    """Return the mappings a filter matches, in an order, from the page before's cursor on."""
    found = search.find(session, wanted, sort, cursor, limit, seconds)
    return Page(
        items=by_ids(session, found.ids),
        next_cursor=found.next_position,
        total=found.total,
        total_is_exact=found.total_is_exact,
        timed_out=found.timed_out,
        read_as=found.read_as,
    )


def by_ids(session: Session, ids: Sequence[int]) -> list[StoredMapping]:
    """Return mappings in the order of their ids given."""
    rows = session.execute(_SELECT.where(mappings.c.id.in_(ids)))
    stored = {row.id: _stored(row) for row in rows}
    return [stored[mapping_id] for mapping_id in ids]


def matching(session: Session, wanted: Filter, *, literally: bool) -> ColumnElement[bool]:
    """Return what a filter asks, as a condition over everything that it matches; `literally`
    refuses words that would be taken for others."""
    return search.clause(session, wanted, literally=literally)


def named(session: Session, ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a mapping is one of these; `NotFound` if some are not there."""
    chosen = mappings.c.id.in_(ids)
    missing = sorted(set(ids) - set(session.scalars(select(mappings.c.id).where(chosen))))
    if missing:
        raise NotFound(f"there is no mapping {', '.join(map(str, missing[:10]))}")
    return chosen


def counts(session: Session) -> dict[str, int]:
    """Return how many mappings stand in each status."""
    s = status_counts.c
    query = select(s.status, func.sum(s.mappings)).group_by(s.status)
    found: dict[str, int] = {row[0]: int(row[1]) for row in session.execute(query)}
    return {status.value: found.get(status.value, 0) for status in Status}
