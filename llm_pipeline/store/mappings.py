"""Mappings out of the store: one, a page of them, their history, their counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.domain.text import normalize
from llm_pipeline.errors import NotFound
from llm_pipeline.store.schema import (
    LIVE_STATUSES,
    mappings,
    submissions,
    targets,
)
from llm_pipeline.store.schema_derived import status_counts

COUNT_CAP = 10_000


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
class Filter:
    """What a list of mappings may be narrowed by; `q` looks for every one of its words."""

    q: str = ""
    status: Status | None = None
    target: str | None = None
    source: str | None = None
    upload: int | None = None
    submitter: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of mappings, newest first. Counting stops at 10,000, and says so."""

    items: list[StoredMapping]
    next_cursor: int | None
    total: int
    total_is_exact: bool


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


def _stored(row: Any) -> StoredMapping:
    fields = list(row)
    fields[4] = Status(fields[4])
    return StoredMapping(*fields)


def get(session: Session, mapping_id: int) -> StoredMapping:
    """Return one mapping; `NotFound` if there is none with that id."""
    row = session.execute(_select().where(mappings.c.id == mapping_id)).first()
    if row is None:
        raise NotFound(f"there is no mapping {mapping_id}")
    return _stored(row)


def of_submission(session: Session, offset: int) -> StoredMapping:
    """Return the mapping that the single submission received at `offset` became part of."""
    query = _select().join(submissions, submissions.c.mapping_id == mappings.c.id)
    return _stored(session.execute(query.where(submissions.c.received_offset == offset)).one())


def live(session: Session, normalized: str) -> StoredMapping | None:
    """Return the live mapping of a normalised text, if there is one."""
    query = _select().where(mappings.c.normalized == normalized, text(f"mappings.{LIVE_STATUSES}"))
    row = session.execute(query).first()
    return None if row is None else _stored(row)


def page(session: Session, wanted: Filter, cursor: int | None, limit: int) -> Page:
    """Return the mappings a filter matches, newest first, below the id `cursor`."""
    query = _narrow(_select(), wanted)
    if cursor is not None:
        query = query.where(mappings.c.id < cursor)
    rows = session.execute(query.order_by(mappings.c.id.desc()).limit(limit + 1)).all()
    counted = _narrow(select(mappings.c.id), wanted).limit(COUNT_CAP + 1).subquery()
    total = session.scalar(select(func.count()).select_from(counted)) or 0
    return Page(
        items=[_stored(row) for row in rows[:limit]],
        next_cursor=rows[limit - 1].id if len(rows) > limit else None,
        total=min(total, COUNT_CAP),
        total_is_exact=total <= COUNT_CAP,
    )


def _narrow(query: Select[Any], wanted: Filter) -> Select[Any]:
    m = mappings.c
    words = normalize(wanted.q).split()
    if wanted.q and not words:
        # Punctuation alone is in no normalised text.
        query = query.where(m.text.contains(wanted.q.strip(), autoescape=True))
    for word in words:
        query = query.where(m.normalized.contains(word, autoescape=True))
    equal = {
        m.status: wanted.status.value if wanted.status else None,
        m.source: wanted.source,
        m.upload_id: wanted.upload,
        m.submitter: wanted.submitter,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.target is not None:
        chosen = select(targets.c.id).where(targets.c.key == wanted.target).scalar_subquery()
        query = query.where(func.coalesce(m.target_id, m.proposed_target_id) == chosen)
    return query


def counts(session: Session) -> dict[str, int]:
    """Return how many mappings stand in each status."""
    s = status_counts.c
    query = select(s.status, func.sum(s.mappings)).group_by(s.status)
    found: dict[str, int] = {row[0]: int(row[1]) for row in session.execute(query)}
    return {status.value: found.get(status.value, 0) for status in Status}
