"""What a plan comes to: counts over the mappings in `planned`, and a sample of them."""

import hashlib
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.plans import MAKES, NEEDS, Blocked
from llm_pipeline.domain.records import Action
from llm_pipeline.store.planned import planned

SAMPLE = 20
_TOP_TARGETS = 20
_READ_AT_ONCE = 10_000

_CHANGED = "FROM planned_mappings p JOIN mappings m ON m.id = p.mapping_id WHERE p.blocked IS NULL"
_BLOCKED = """
    SELECT blocked, status, count(*) FROM planned_mappings WHERE blocked IS NOT NULL
    GROUP BY blocked, status ORDER BY count(*) DESC, blocked, status"""
_BY_STATUS = f"""
    SELECT p.status, count(*), coalesce(sum(m.rows), 0) {_CHANGED}
    GROUP BY p.status ORDER BY count(*) DESC, p.status"""
_MARKS = f"""
    SELECT coalesce(sum(CASE WHEN m.conflict THEN 1 ELSE 0 END), 0),
        coalesce(sum(CASE WHEN p.status = 'pending' AND m.proposed_target_id IS NOT NULL
            AND coalesce(p.target_id, 0) <> m.proposed_target_id THEN 1 ELSE 0 END), 0),
        coalesce(sum(CASE WHEN p.status = 'pending' AND m.suggested_target_id IS NOT NULL
            AND coalesce(p.target_id, 0) <> m.suggested_target_id THEN 1 ELSE 0 END), 0),
        count(p.displaced_id),
        coalesce(sum(CASE WHEN p.displaced_target_id <> p.target_id THEN 1 ELSE 0 END), 0)
    {_CHANGED}"""
_WAITING_ELSEWHERE = f"""
    SELECT count(*) FROM mappings w JOIN (
        SELECT DISTINCT m.normalized {_CHANGED} AND p.status <> 'pending') AS touched
        ON touched.normalized = w.normalized
    WHERE w.status = 'pending' AND NOT EXISTS (
        SELECT 1 FROM planned_mappings q WHERE q.mapping_id = w.id AND q.blocked IS NULL)"""  # noqa: S608
_BY_TARGET = f"""
    SELECT t.key, sum(moved.gains), sum(moved.loses) FROM (
        SELECT p.target_id AS target_id, count(*) AS gains, 0 AS loses
        FROM planned_mappings p WHERE p.blocked IS NULL AND p.target_id IS NOT NULL
        GROUP BY p.target_id
        UNION ALL
        SELECT m.target_id, 0, count(*) {_CHANGED} AND p.status IN ('approved', 'auto_approved')
        GROUP BY m.target_id
        UNION ALL
        SELECT p.displaced_target_id, 0, count(*)
        FROM planned_mappings p WHERE p.blocked IS NULL AND p.displaced_id IS NOT NULL
        GROUP BY p.displaced_target_id) AS moved
    JOIN targets t ON t.id = moved.target_id
    GROUP BY t.key ORDER BY sum(moved.gains) + sum(moved.loses) DESC, t.key"""  # noqa: S608
_SAMPLE = """
    SELECT m.id, m.text, m.rows, m.status, before.key AS target, becoming.key AS new_target,
        proposed.key AS proposed_target, suggested.key AS suggested_target, m.probability,
        m.conflict, p.displaced_id
    FROM (SELECT mapping_id, row_number() OVER (ORDER BY mapping_id) - 1 AS place
          FROM planned_mappings WHERE blocked IS NULL) AS placed
    JOIN planned_mappings p ON p.mapping_id = placed.mapping_id
    JOIN mappings m ON m.id = p.mapping_id
    LEFT JOIN targets before ON before.id = m.target_id
    LEFT JOIN targets becoming ON becoming.id = p.target_id
    LEFT JOIN targets proposed ON proposed.id = m.proposed_target_id
    LEFT JOIN targets suggested ON suggested.id = m.suggested_target_id
    WHERE placed.place * :wanted % :number < :wanted ORDER BY m.id"""


def preview(session: Session, action: Action, number: int) -> dict[str, Any]:
    """Return what a plan of `number` changes comes to, ready for JSON."""
    return {
        "blocked": _blocked(session, action),
        "consequences": _consequences(session, action),
        "sample": _sample(session, action, number),
    }


def _blocked(session: Session, action: Action) -> list[dict[str, Any]]:
    return [
        {"reason": _said(row[0], row[1], action), "mappings": row[2]}
        for row in session.execute(text(_BLOCKED))
    ]


def _said(blocked: str, status: str, action: Action) -> str:
    if blocked == Blocked.STATUS.name:
        return f"it is {status}; {action.value} needs {' or '.join(NEEDS[action])}"
    return Blocked[blocked].value


def _consequences(session: Session, action: Action) -> dict[str, Any]:
    statuses = session.execute(text(_BY_STATUS)).all()
    moved = session.execute(text(_BY_TARGET)).all()
    conflicts, proposals, suggestions, displaced, changed = session.execute(text(_MARKS)).one()
    return {
        "statuses": [
            {
                "before": row[0],
                "after": MAKES[action].value,
                "mappings": row[1],
                "rows": int(row[2]),
            }
            for row in statuses
        ],
        "rows": sum(int(row[2]) for row in statuses),
        "displaced": displaced,
        "displaced_with_another_target": int(changed),
        "targets": [
            {"target": row[0], "gains": int(row[1]), "loses": int(row[2])}
            for row in moved[:_TOP_TARGETS]
        ],
        "targets_in_all": len(moved),
        "conflicts": int(conflicts),
        "overruled_proposals": int(proposals),
        "overruled_suggestions": int(suggestions),
        "waiting_elsewhere": session.scalar(text(_WAITING_ELSEWHERE)) or 0,
    }


def _sample(session: Session, action: Action, number: int) -> list[dict[str, Any]]:
    """Return mappings spread evenly over all, the same ones every time."""
    rows = session.execute(text(_SAMPLE), {"wanted": SAMPLE, "number": max(number, 1)})
    return [
        {**row, "conflict": bool(row["conflict"]), "new_status": MAKES[action].value}
        for row in rows.mappings()
    ]


def digest(session: Session, action: Action, target: str | None) -> str:
    """Return the SHA-256 of an action, its target, and all that it changes as it stands: mapping,
    version and target, and the same of the live mapping that gives way."""
    hashed = hashlib.sha256(f"{action.value}\n{target or ''}\n".encode())
    p = planned.c
    columns = (p.mapping_id, p.version, p.target_id, p.displaced_id, p.displaced_version)
    query = select(*columns).where(p.blocked.is_(None)).order_by(p.mapping_id)
    found = session.execute(query.execution_options(yield_per=_READ_AT_ONCE))
    for rows in found.partitions():
        lines = (" ".join("" if v is None else str(v) for v in row) + "\n" for row in rows)
        hashed.update("".join(lines).encode())
    return hashed.hexdigest()
