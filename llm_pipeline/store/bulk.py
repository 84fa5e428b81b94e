"""Rows of an upload into the tables, a chunk per transaction, set by set and not row by row.

A chunk is staged in a temporary table and merged by a handful of statements that read the same on
SQLite and PostgreSQL. Each row becomes a submission of exactly one mapping; the upload's
`rows_read` moves in the same transaction, so a crash loses nothing and doubles nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, text, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Source, Submission
from llm_pipeline.store import activity, touched
from llm_pipeline.store.schema import (
    ENDED_STATUSES,
    LIVE_STATUSES,
    PENDING_STATUS,
    rejected_rows,
    uploads,
)
from llm_pipeline.store.staging import CLEAR, CREATE, staged_rows, with_times


@dataclass(frozen=True, slots=True)
class Row:
    """One good row of a file: where it stood, what it said, and what its text comes down to."""

    row: int
    line: int
    submission: Submission
    normalized: str
    key: str
    target_id: int | None


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One bad row of a file, as it stood, and what was wrong with it."""

    row: int
    line: int
    reason: str
    content: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one transaction writes: rows up to `rows_read` of the upload, or a single submission."""

    upload_id: int | None
    actor: str
    at: datetime
    offset: int
    rows_read: int
    rows: Sequence[Row]
    rejected: Sequence[RejectedRow]


@dataclass(frozen=True, slots=True)
class Merged:
    """How a chunk changed the mappings."""

    new_mappings: int
    approved: int


# Whatever changes what an approval would mean raises the version, so that nobody approves unseen.
# A submission joins the live mapping it agrees with, else the one that waits, else, when it
# proposes nothing, the one a person has rejected: nobody is asked the same question twice.
_JOIN_LIVE = """
    UPDATE staged_rows SET mapping_id = (
        SELECT m.id FROM mappings m
        WHERE m.normalized = staged_rows.normalized AND m.status IN ('approved', 'auto_approved')
          AND (staged_rows.target_id IS NULL OR m.target_id = staged_rows.target_id))"""
_JOIN_PENDING = """
    UPDATE staged_rows SET mapping_id = (
        SELECT m.id FROM mappings m
        WHERE m.normalized = staged_rows.normalized AND m.status = 'pending')
    WHERE mapping_id IS NULL"""
_JOIN_REJECTED = """
    UPDATE staged_rows SET mapping_id = (
        SELECT max(m.id) FROM mappings m
        WHERE m.normalized = staged_rows.normalized AND m.status = 'rejected')
    WHERE mapping_id IS NULL AND target_id IS NULL"""
# Sorted by the text, because the order of B-tree inserts is what costs.
_NEW_PENDING = """
    INSERT INTO mappings (text, normalized, key, status, proposed_target_id, note, source,
                          submitter, upload_id, received_offset, created_at, updated_at)
    SELECT s.text, s.normalized, s.key, 'pending', s.target_id, s.note, s.source,
           :actor, :upload_id, :offset, :at, :at
    FROM staged_rows s
    WHERE s.row IN (SELECT min(row) FROM staged_rows WHERE mapping_id IS NULL GROUP BY normalized)
    ORDER BY s.normalized"""
_MARK_CONFLICTS = """
    UPDATE mappings SET conflict = true, version = version + 1
    WHERE status = 'pending' AND NOT conflict AND id IN (
        SELECT s.mapping_id FROM staged_rows s JOIN mappings m ON m.id = s.mapping_id
        WHERE s.target_id IS NOT NULL AND s.target_id <> m.proposed_target_id)"""
_FILL_PROPOSALS = """
    UPDATE mappings SET version = version + 1, proposed_target_id = (
        SELECT s.target_id FROM staged_rows s
        WHERE s.mapping_id = mappings.id AND s.target_id IS NOT NULL ORDER BY s.row DESC LIMIT 1)
    WHERE status = 'pending' AND proposed_target_id IS NULL AND id IN (
        SELECT mapping_id FROM staged_rows WHERE target_id IS NOT NULL)"""

# Trusted labels: one mapping per text and target; the last label of a text is the live one.
_SETTLE_PENDING = """
    UPDATE mappings SET status = 'retired', conflict = false, version = version + 1,
        updated_at = :at,
        target_id = (SELECT s.target_id FROM staged_rows s
                     WHERE s.normalized = mappings.normalized ORDER BY s.row DESC LIMIT 1)
    WHERE status = 'pending' AND normalized IN (SELECT normalized FROM staged_rows)"""
_JOIN_LABELLED = """
    UPDATE staged_rows SET mapping_id = (
        SELECT max(m.id) FROM mappings m
        WHERE m.normalized = staged_rows.normalized AND m.target_id = staged_rows.target_id
          AND m.status IN ('approved', 'auto_approved', 'retired'))
    WHERE mapping_id IS NULL"""
_NEW_LABELLED = """
    INSERT INTO mappings (text, normalized, key, status, target_id, proposed_target_id, note,
                          source, submitter, upload_id, received_offset, created_at, updated_at)
    SELECT s.text, s.normalized, s.key, 'retired', s.target_id, s.target_id, s.note,
           s.source, :actor, :upload_id, :offset, :at, :at
    FROM staged_rows s
    WHERE s.row IN (SELECT min(row) FROM staged_rows WHERE mapping_id IS NULL
                    GROUP BY normalized, target_id)
    ORDER BY s.normalized"""
_MARK_LAST = """
    UPDATE staged_rows SET is_last = true
    WHERE row IN (SELECT max(row) FROM staged_rows GROUP BY normalized)"""
_DISPLACED = """
    status IN ('approved', 'auto_approved')
    AND normalized IN (SELECT normalized FROM staged_rows)
    AND id NOT IN (SELECT mapping_id FROM staged_rows WHERE is_last)"""
_CLOSE_SPANS = f"""
    INSERT INTO live_spans (mapping_id, target_id, live_from, live_to, ended_by)
    SELECT id, target_id, live_from, :offset, 'superseded' FROM mappings WHERE {_DISPLACED}"""  # noqa: S608
_RETIRE_DISPLACED = f"""
    UPDATE mappings SET status = 'retired', live_from = NULL, version = version + 1,
        updated_at = :at
    WHERE {_DISPLACED}"""  # noqa: S608
_APPROVE_LAST = """
    UPDATE mappings SET status = 'approved', live_from = :offset, updated_at = :at,
        version = version + 1
    WHERE status = 'retired' AND id IN (SELECT mapping_id FROM staged_rows WHERE is_last)"""

_COUNT_ROWS = """
    UPDATE mappings SET rows = rows + (
        SELECT count(*) FROM staged_rows s WHERE s.mapping_id = mappings.id)
    WHERE id IN (SELECT mapping_id FROM staged_rows)"""
_SUBMIT = """
    INSERT INTO submissions (mapping_id, upload_id, row, line, text, target_id, note, source,
                             submitter, occurred_at, amount, extra, received_offset, received_at)
    SELECT mapping_id, :upload_id, row, line, text, target_id, note, source,
           :actor, occurred_at, amount, extra, :offset, :at
    FROM staged_rows ORDER BY row"""


# Asked for by status, because each status has an index of its own.
_OF_THESE_TEXTS = " UNION ALL ".join(
    f"SELECT id FROM mappings WHERE {these} AND normalized IN (SELECT normalized FROM staged_rows)"  # noqa: S608
    for these in (PENDING_STATUS, LIVE_STATUSES, ENDED_STATUSES)
)


def merge_pending(session: Session, chunk: Chunk) -> Merged:
    """Write a chunk of rows that wait for recognition and review; a target is a proposal."""
    _stage(session, chunk)
    with touched.changing(session, _OF_THESE_TEXTS):
        for statement in (_JOIN_LIVE, _JOIN_PENDING, _JOIN_REJECTED):
            _run(session, statement, chunk)
        new = _run(session, _NEW_PENDING, chunk)
        for statement in (_JOIN_PENDING, _FILL_PROPOSALS, _MARK_CONFLICTS, _COUNT_ROWS):
            _run(session, statement, chunk)
    _finish(session, chunk)
    return Merged(new_mappings=new, approved=0)


def merge_approved(session: Session, chunk: Chunk) -> Merged:
    """Write a chunk of trusted labels: they are live at once, the last label of a text wins."""
    _stage(session, chunk)
    with touched.changing(session, _OF_THESE_TEXTS):
        _run(session, _SETTLE_PENDING, chunk)
        _run(session, _JOIN_LABELLED, chunk)
        new = _run(session, _NEW_LABELLED, chunk)
        for statement in (_JOIN_LABELLED, _MARK_LAST, _CLOSE_SPANS, _RETIRE_DISPLACED):
            _run(session, statement, chunk)
        approved = _run(session, _APPROVE_LAST, chunk)
        _run(session, _COUNT_ROWS, chunk)
    _finish(session, chunk)
    return Merged(new_mappings=new, approved=approved)


def _stage(session: Session, chunk: Chunk) -> None:
    for statement in CREATE:
        session.execute(text(statement))
    if chunk.rows:
        session.execute(insert(staged_rows), [_staged(row) for row in chunk.rows])


def _staged(row: Row) -> dict[str, object]:
    said = row.submission
    return {
        "row": row.row,
        "line": row.line,
        "text": said.text,
        "normalized": row.normalized,
        "key": row.key,
        "target_id": row.target_id,
        "note": said.note,
        "source": said.source.value,
        "occurred_at": said.occurred_at,
        "amount": said.amount,
        "extra": said.extra or None,
    }


def _run(session: Session, statement: str, chunk: Chunk) -> int:
    named = {"actor", "upload_id", "offset", "at"}
    values = {name: getattr(chunk, name) for name in named if f":{name}" in statement}
    result = session.execute(with_times(statement), values)
    return int(result.rowcount)  # type: ignore[attr-defined]


def _finish(session: Session, chunk: Chunk) -> None:
    _run(session, _SUBMIT, chunk)
    source = chunk.rows[0].submission.source if chunk.rows else Source.UPLOAD
    counts = {activity.RECEIVED: len(chunk.rows), activity.SET_ASIDE: len(chunk.rejected)}
    activity.add(session, chunk.at, source.value, counts)
    session.execute(text(CLEAR))
    if chunk.rejected:
        session.execute(
            insert(rejected_rows),
            [
                {
                    "upload_id": chunk.upload_id,
                    "row": bad.row,
                    "line": bad.line,
                    "reason": bad.reason,
                    "content": bad.content,
                }
                for bad in chunk.rejected
            ],
        )
    session.execute(
        update(uploads)
        .where(uploads.c.id == chunk.upload_id)
        .values(
            rows_read=chunk.rows_read,
            accepted=uploads.c.accepted + len(chunk.rows),
            rejected=uploads.c.rejected + len(chunk.rejected),
            updated_at=chunk.at,
        )
    )
