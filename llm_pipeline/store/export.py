"""Rows for exports, a chunk at a time from one query: they are of one state of the store."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from llm_pipeline.store.mappings import Filter, matching
from llm_pipeline.store.schema import mappings, targets

CHUNK_ROWS = 10_000

Rows = Sequence[Sequence[Any]]


def mapping_rows(session: Session, wanted: Filter) -> Iterator[Rows]:
    """Yield what a filter matches, by id, in the columns of `domain.exported.MAPPING_COLUMNS`."""
    final, proposed, suggested = (
        targets.alias(name) for name in ("final", "proposed", "suggested")
    )
    m = mappings.c
    query = (
        select(
            m.id,
            m.text,
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
            m.created_at,
            m.updated_at,
        )
        .select_from(
            mappings.outerjoin(final, final.c.id == m.target_id)
            .outerjoin(proposed, proposed.c.id == m.proposed_target_id)
            .outerjoin(suggested, suggested.c.id == m.suggested_target_id)
        )
        .where(matching(session, wanted, literally=False))
        .order_by(m.id)
    )
    yield from _chunks(session, query)


def mapping_count(session: Session, wanted: Filter) -> int:
    """Count what `mapping_rows` would yield, one by one."""
    query = (
        select(func.count()).select_from(mappings).where(matching(session, wanted, literally=False))
    )
    return session.scalar(query) or 0


def target_rows(session: Session) -> Iterator[Rows]:
    """Yield the catalogue, by key, in the columns of `domain.exported.TARGET_COLUMNS`."""
    t = targets.c
    query = select(t.id, t.key, t.name, t.category, t.attributes, t.retired_at).order_by(t.key)
    for rows in _chunks(session, query):
        yield [
            (*row[:4], json.dumps(row[4], ensure_ascii=False), row[5] is not None) for row in rows
        ]


def _chunks(session: Session, query: Select[Any]) -> Iterator[Rows]:
    yield from session.execute(query.execution_options(yield_per=CHUNK_ROWS)).partitions()
