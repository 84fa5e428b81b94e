"""Keeps the tables that repeat what mappings say true while mappings change: the only way to
change one.

What the rows count for is withdrawn before the change and added again after it, set by set: a row
at a time by triggers took twice as long.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.orm import Session

from llm_pipeline.store import documents
from llm_pipeline.store.temporary import emptied

_SPELLED = {
    "sqlite": {
        "id": "INTEGER",
        "largest": "max",
        "smallest": "min",
        "chance": "abs(random()) % 2147483647",
    },
    "postgresql": {
        "id": "BIGINT",
        "largest": "greatest",
        "smallest": "least",
        "chance": "CAST(random() * 2147483646 AS BIGINT)",
    },
}
_TEMPORARY = {
    "touched_mappings": "mapping_id {id} PRIMARY KEY",
    "touched_keys": "key TEXT PRIMARY KEY",
}
_GATHER = """
    INSERT INTO touched_mappings (mapping_id)
    SELECT id FROM ({ids}) AS chosen WHERE true ON CONFLICT DO NOTHING"""
_STATUS = """
    INSERT INTO status_counts (status, day, mappings, rows)
    SELECT m.status, CAST(date(m.created_at) AS TEXT), {sign} * count(*), {sign} * sum(m.rows)
    FROM touched_mappings t CROSS JOIN mappings m
    WHERE m.id = t.mapping_id GROUP BY m.status, CAST(date(m.created_at) AS TEXT)
    ON CONFLICT (status, day) DO UPDATE SET
        mappings = status_counts.mappings + excluded.mappings,
        rows = status_counts.rows + excluded.rows"""
_TARGET = """
    INSERT INTO target_counts (target_id, status, mappings, rows)
    SELECT coalesce(m.target_id, m.proposed_target_id, 0), m.status,
           {sign} * count(*), {sign} * sum(m.rows)
    FROM touched_mappings t CROSS JOIN mappings m
    WHERE m.id = t.mapping_id GROUP BY coalesce(m.target_id, m.proposed_target_id, 0), m.status
    ON CONFLICT (target_id, status) DO UPDATE SET
        mappings = target_counts.mappings + excluded.mappings,
        rows = target_counts.rows + excluded.rows"""
_GROUPS = """
    INSERT INTO review_groups
        (key, mappings, rows, value, uncertainty, conflicts, oldest_id, shuffle, versions)
    SELECT m.key, {sign} * count(*), {sign} * sum(m.rows),
           {sign} * sum(m.rows * (1.0 - coalesce(m.probability, 0))),
           sum(m.rows * (1.0 - coalesce(m.probability, 0))) / {largest}(1, sum(m.rows)),
           {sign} * sum(CASE WHEN m.conflict THEN 1 ELSE 0 END), min(m.id),
           {chance}, {sign} * sum(m.version)
    FROM touched_mappings t CROSS JOIN mappings m
    WHERE m.id = t.mapping_id AND m.status = 'pending' GROUP BY m.key
    ON CONFLICT (key) DO UPDATE SET
        mappings = review_groups.mappings + excluded.mappings,
        rows = review_groups.rows + excluded.rows,
        value = review_groups.value + excluded.value,
        uncertainty = (review_groups.value + excluded.value)
            / {largest}(1, review_groups.rows + excluded.rows),
        conflicts = review_groups.conflicts + excluded.conflicts,
        versions = review_groups.versions + excluded.versions,
        oldest_id = {smallest}(review_groups.oldest_id, excluded.oldest_id)"""
_KEYS = """
    INSERT INTO touched_keys (key)
    SELECT DISTINCT m.key FROM touched_mappings t CROSS JOIN mappings m
    WHERE m.id = t.mapping_id AND m.status = 'pending'"""
# Adding and taking away leaves crumbs in a float: what is empty goes, the oldest may have gone.
_TIDY_GROUPS = (
    """DELETE FROM review_groups
    WHERE mappings <= 0 AND key IN (SELECT key FROM touched_keys)""",
    """UPDATE review_groups SET oldest_id = (
        SELECT min(m.id) FROM mappings m
        WHERE m.key = review_groups.key AND m.status = 'pending')
    WHERE key IN (SELECT key FROM touched_keys)""",
)


@contextmanager
def changing(session: Session, ids: str | Sequence[int]) -> Iterator[None]:
    """Let a block change mappings: `ids` is SQL that selects their `id`, or the ids themselves.

    SQL is asked again after the block, so that it may find rows that the block added; it must
    still find those that were there.
    """
    _begin(session, ids)
    session.execute(text(_KEYS))
    _count(session, -1)
    documents.note(session)
    yield
    if isinstance(ids, str):
        _gather(session, ids)
    _count(session, 1)
    documents.enter(session)
    for statement in _TIDY_GROUPS:
        session.execute(text(statement))


def added(session: Session, ids: str) -> None:
    """Count mappings that are new: `ids` is SQL that selects their `id`."""
    _begin(session, ids)
    _count(session, 1)
    documents.enter_new(session)


def rebuild(session: Session) -> None:
    """Count all mappings anew, whatever was counted before."""
    for table in ("status_counts", "target_counts", "review_groups"):
        session.execute(text(f"DELETE FROM {table}"))  # noqa: S608
    _begin(session, "SELECT id FROM mappings")
    _count(session, 1)


def _begin(session: Session, ids: str | Sequence[int]) -> None:
    spelled = _SPELLED[session.get_bind().dialect.name]
    emptied(session, {name: made.format(**spelled) for name, made in _TEMPORARY.items()})
    _gather(session, ids)


def _gather(session: Session, ids: str | Sequence[int]) -> None:
    if isinstance(ids, str):
        session.execute(text(_GATHER.format(ids=ids)))
    elif ids:
        session.execute(
            text("INSERT INTO touched_mappings (mapping_id) VALUES (:id)"),
            [{"id": mapping_id} for mapping_id in ids],
        )


def _count(session: Session, sign: int) -> None:
    spelled = _SPELLED[session.get_bind().dialect.name]
    for statement in (_STATUS, _TARGET, _GROUPS):
        session.execute(text(statement.format(sign=sign, **spelled)))
