"""The rows that gates named: kept with the last results of each suite, read in pages."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.gate import FailingRow
from llm_pipeline.errors import NotFound
from llm_pipeline.store.schema_operations import gate_results, gate_rows

# Results of a suite whose rows are kept: a gate that fails every hour names the same ones again.
KEPT = 10

_r, _row = gate_results.c, gate_rows.c


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row that a gate named."""

    id: int
    kind: str
    key: str
    reason: str
    severity: str
    value: str


def keep(session: Session, result_id: int, suite: str, rows: Sequence[FailingRow]) -> None:
    """Store the rows that a result names, and drop those of the suite's old results."""
    if not rows:
        return
    values = [
        {
            "result_id": result_id,
            "kind": row.kind,
            "key": row.key,
            "reason": row.reason,
            "severity": row.severity,
            "value": row.value,
        }
        for row in rows
    ]
    session.execute(insert(gate_rows), values)
    of_suite = select(_row.result_id).join(gate_results, _r.id == _row.result_id)
    named = of_suite.where(_r.suite == suite).distinct().order_by(_row.result_id.desc())
    old = list(session.scalars(named.offset(KEPT)))
    if old:
        session.execute(delete(gate_rows).where(_row.result_id.in_(old)))


def page(session: Session, result_id: int, after_id: int | None, limit: int) -> list[StoredRow]:
    """Return rows that a result named, behind the row `after_id`. NotFound without that result."""
    if session.scalar(select(_r.id).where(_r.id == result_id)) is None:
        raise NotFound(f"there is no gate result {result_id}")
    query = (
        select(_row.id, _row.kind, _row.key, _row.reason, _row.severity, _row.value)
        .where(_row.result_id == result_id, _row.id > (after_id or 0))
        .order_by(_row.id)
        .limit(limit)
    )
    return [StoredRow(*row) for row in session.execute(query)]


def count(session: Session, result_id: int) -> int:
    """Return how many rows of a result are kept."""
    query = select(func.count()).select_from(gate_rows).where(_row.result_id == result_id)
    return session.scalar(query) or 0


def named(session: Session, suite: str) -> int | None:
    """Return the newest result of a suite whose rows are kept."""
    newest = select(func.max(_row.result_id)).join(gate_results, _r.id == _row.result_id)
    found: int | None = session.scalar(newest.where(_r.suite == suite))
    return found
