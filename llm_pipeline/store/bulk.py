"""Who joins what: submissions into mappings, set by set and not row by row.

Rows are staged in a temporary table and merged by a handful of statements that read the same on
SQLite and PostgreSQL. Each row becomes a submission of exactly one mapping. `slices` does the same
for files, in which most texts are new.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Submission
from llm_pipeline.store import activity, touched
from llm_pipeline.store.schema import ENDED_STATUSES, LIVE_STATUSES, PENDING_STATUS
from llm_pipeline.store.staging import prepare, staged_rows, with_times


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
class Act:
    """Who writes for which upload, when, and at which offset of the log."""

    upload_id: int | None
    actor: str
    at: datetime
    offset: int


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
# Named as the indexes of texts name them, and `|| ''` so that the index of statuses is not taken:
# with that, each row would go through all that ever ended so.
_JOIN_REJECTED = f"""
    UPDATE staged_rows SET mapping_id = (
        SELECT max(m.id) FROM mappings m
        WHERE m.normalized = staged_rows.normalized AND m.{ENDED_STATUSES}
          AND m.status || '' = 'rejected')
    WHERE mapping_id IS NULL AND target_id IS NULL"""  # noqa: S608
# Sorted by the text, because the order of B-tree inserts is what costs.
_NEW_PENDING = """
    INSERT INTO mappings (text, normalized, key, status, proposed_target_id, note, source,
                          submitter, upload_id, received_offset, created_at, updated_at)
    SELECT s.text, s.normalized, s.key, 'pending', s.target_id, s.note, s.source,
           :actor, :upload_id, :offset, :at, :at
    FROM staged_rows s
    WHERE s.row IN (SELECT min(row) FROM staged_rows WHERE mapping_id IS NULL GROUP BY normalized)
    ORDER BY s.normalized"""
# Found by id: `|| ''` keeps PostgreSQL from going through all that waits.
_MARK_CONFLICTS = """
    UPDATE mappings SET conflict = true, version = version + 1
    WHERE status || '' = 'pending' AND NOT conflict AND id IN (
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
    WHERE id IN (SELECT m.id FROM staged_rows s CROSS JOIN mappings m
                 WHERE m.normalized = s.normalized AND m.status = 'pending')"""
_JOIN_LABELLED = f"""
    UPDATE staged_rows SET mapping_id = (
        SELECT max(same.id) FROM (
            SELECT m.id FROM mappings m
            WHERE m.normalized = staged_rows.normalized AND m.target_id = staged_rows.target_id
              AND m.{LIVE_STATUSES}
            UNION ALL
            SELECT m.id FROM mappings m
            WHERE m.normalized = staged_rows.normalized AND m.target_id = staged_rows.target_id
              AND m.{ENDED_STATUSES} AND m.status || '' = 'retired') AS same)
    WHERE mapping_id IS NULL"""  # noqa: S608
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
_DISPLACED = f"""
    id IN (SELECT m.id FROM staged_rows s CROSS JOIN mappings m
           WHERE m.normalized = s.normalized AND m.{LIVE_STATUSES})
    AND id NOT IN (SELECT mapping_id FROM staged_rows WHERE is_last)"""  # noqa: S608
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
    WHERE id IN (SELECT mapping_id FROM staged_rows WHERE is_last) AND status || '' = 'retired'"""

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


# Asked for by status, because each status has an index of its own. A text has one waiting and one
# live mapping at most, and subqueries are look-ups for every database; CROSS JOIN, or SQLite goes
# through all mappings and looks each up among the staged rows.
_OF_THESE_TEXTS = f"""
    SELECT id FROM (SELECT (SELECT m.id FROM mappings m
        WHERE m.normalized = s.normalized AND m.{PENDING_STATUS}) AS id FROM staged_rows s) AS w
    WHERE id IS NOT NULL
    UNION ALL
    SELECT id FROM (SELECT (SELECT m.id FROM mappings m
        WHERE m.normalized = s.normalized AND m.{LIVE_STATUSES}) AS id FROM staged_rows s) AS l
    WHERE id IS NOT NULL
    UNION ALL
    SELECT m.id FROM staged_rows s CROSS JOIN mappings m
    WHERE m.normalized = s.normalized AND m.{ENDED_STATUSES}"""  # noqa: S608


def merge(session: Session, act: Act, rows: Sequence[Row], *, trusted: bool) -> Merged:
    """Write rows that wait for recognition and review, or trusted labels that are live at once."""
    prepare(session)
    if rows:
        session.execute(insert(staged_rows), [_staged(row) for row in rows])
        activity.add(
            session, act.at, rows[0].submission.source.value, {activity.RECEIVED: len(rows)}
        )
    return merge_staged(session, act, trusted=trusted)


def merge_staged(session: Session, act: Act, *, trusted: bool) -> Merged:
    """Merge the rows that lie in the temporary table."""
    merge_texts = _approve if trusted else _wait
    with touched.changing(session, _OF_THESE_TEXTS):
        merged = merge_texts(session, act)
        _run(session, _COUNT_ROWS, act)
    _run(session, _SUBMIT, act)
    return merged


def _wait(session: Session, act: Act) -> Merged:
    for statement in (_JOIN_LIVE, _JOIN_PENDING, _JOIN_REJECTED):
        _run(session, statement, act)
    new = _run(session, _NEW_PENDING, act)
    for statement in (_JOIN_PENDING, _FILL_PROPOSALS, _MARK_CONFLICTS):
        _run(session, statement, act)
    return Merged(new_mappings=new, approved=0)


def _approve(session: Session, act: Act) -> Merged:
    _run(session, _SETTLE_PENDING, act)
    _run(session, _JOIN_LABELLED, act)
    new = _run(session, _NEW_LABELLED, act)
    for statement in (_JOIN_LABELLED, _MARK_LAST, _CLOSE_SPANS, _RETIRE_DISPLACED):
        _run(session, statement, act)
    return Merged(new_mappings=new, approved=_run(session, _APPROVE_LAST, act))


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


def _run(session: Session, statement: str, act: Act) -> int:
    named = {"actor", "upload_id", "offset", "at"}
    values = {name: getattr(act, name) for name in named if f":{name}" in statement}
    result = session.execute(with_times(statement), values)
    return int(result.rowcount)  # type: ignore[attr-defined]
