"""How a store stands: digests to compare two of them by, and counters beside a recount."""

import hashlib

from sqlalchemy import text

from center.stores import opened
from llm_pipeline.config import Settings
from llm_pipeline.store.engine import Session

# Ids, times and offsets differ between two runs of the same; nothing else may.
COMPARED = {
    "mappings": "SELECT normalized, status, rows, target_id, proposed_target_id, conflict "
    "FROM mappings ORDER BY normalized, status, rows",
    "submissions": "SELECT s.row, s.line, s.text, s.target_id, s.amount, m.normalized "
    "FROM submissions s JOIN mappings m ON m.id = s.mapping_id ORDER BY s.upload_id, s.row",
    "rejected rows": "SELECT row, line, reason, content FROM rejected_rows ORDER BY upload_id, row",
    "uploads": "SELECT status, rows_read, accepted, rejected FROM uploads ORDER BY id",
}
COUNTED = {
    "status counters": (
        "SELECT status, sum(mappings), sum(rows) FROM status_counts GROUP BY status "
        "HAVING sum(mappings) <> 0 ORDER BY status",
        "SELECT status, count(*), sum(rows) FROM mappings GROUP BY status ORDER BY status",
    ),
    "target counters": (
        "SELECT target_id, status, mappings, rows FROM target_counts WHERE mappings <> 0 "
        "ORDER BY target_id, status",
        "SELECT coalesce(target_id, proposed_target_id, 0), status, count(*), sum(rows) "
        "FROM mappings GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    "review groups": (
        "SELECT count(*), coalesce(sum(mappings), 0), sum(rows) FROM review_groups",
        "SELECT count(DISTINCT key), count(*), sum(rows) FROM mappings WHERE status = 'pending'",
    ),
    "rows of mappings": (
        "SELECT sum(rows) FROM mappings",
        "SELECT count(*) FROM submissions",
    ),
}


def standing(settings: Settings) -> dict[str, str]:
    """Return a digest of each table that must come out the same."""
    with opened(settings) as database, database.read() as session:
        return {name: _digest(session, query) for name, query in COMPARED.items()}


def miscounted(settings: Settings) -> list[str]:
    """Return which counters differ from a recount."""
    with opened(settings) as database, database.read() as session:
        return [
            name
            for name, (kept, counted) in COUNTED.items()
            if _rows(session, kept) != _rows(session, counted)
        ]


def _rows(session: Session, query: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in session.execute(text(query))]


def _digest(session: Session, query: str) -> str:
    hashed = hashlib.sha256()
    for row in session.execute(text(query)).yield_per(10_000):
        hashed.update(repr(tuple(row)).encode())
    return hashed.hexdigest()
