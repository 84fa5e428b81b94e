"""Gate results and reports: what was checked, when, and what came out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.learning_events import (
    GateChecked,
    ReportWritten,
)
from llm_pipeline.domain.records import GateResult
from llm_pipeline.errors import GateFailed, NotFound, NothingToLearn
from llm_pipeline.store import alerts, failing_rows, log, training
from llm_pipeline.store.schema_operations import gate_results, reports

ALERT_RULE = "gate_failed"


@dataclass(frozen=True, slots=True)
class StoredGateResult:
    """A gate result with the offset it speaks of."""

    id: int
    suite: str
    success: bool
    severity: str
    rows: int
    checks: int
    failures: list[dict[str, Any]]
    as_of: int
    upload_id: int | None
    checked_at: datetime
    figures: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Report:
    """A quality, performance or insights report as written."""

    id: int
    kind: str
    as_of: int
    verdict: str
    content: dict[str, Any]
    written_at: datetime


def record_gate(
    session: Session,
    result: GateResult,
    as_of: int,
    actor: str,
    at: datetime,
    upload_id: int | None = None,
) -> int:
    """Store a gate result with the rows it names, tell of it, raise or resolve the alert that
    belongs to its suite, and return its id."""
    told = [f"{failure['reason']} ({failure['failing']} rows)" for failure in result.failures]
    checked = GateChecked(actor, result.suite, result.success, result.severity, result.rows, told)
    log.append(session, at, checked)
    new_id = save_gate(session, result, as_of, at, upload_id)
    # What is wrong with a file is not in the store: it is told, and stops nobody else.
    severity = result.severity if upload_id is None else "warning"
    _alert(session, result, severity, "; ".join(told), actor, at)
    failing_rows.keep(session, new_id, result.suite, result.failing)
    return new_id


def _alert(
    session: Session, result: GateResult, severity: str, message: str, actor: str, at: datetime
) -> None:
    if result.success:
        # A good file does not mend what is wrong with the rows that are in the store.
        if held_by(session, result.suite) is None:
            alerts.settle(session, ALERT_RULE, result.suite, actor, at)
        return
    message = f"the gate {result.suite} failed: {message}"
    found = alerts.Finding(ALERT_RULE, result.suite, severity, message)
    alerts.tell(session, found, actor, at)


def save_gate(
    session: Session, result: GateResult, as_of: int, at: datetime, upload_id: int | None = None
) -> int:
    """Store a gate result and return its id."""
    values = {
        "suite": result.suite,
        "success": result.success,
        "severity": result.severity,
        "rows": result.rows,
        "checks": result.checks,
        "failures": list(result.failures),
        "as_of": as_of,
        "upload_id": upload_id,
        "checked_at": at,
        "figures": result.figures,
    }
    new_id = session.scalar(insert(gate_results).values(values).returning(gate_results.c.id))
    return new_id or 0


def latest_gate(session: Session, suite: str) -> StoredGateResult | None:
    """Return the newest result of a suite."""
    query = select(gate_results).where(gate_results.c.suite == suite)
    row = session.execute(query.order_by(gate_results.c.id.desc()).limit(1)).first()
    return None if row is None else StoredGateResult(*row)


def held_by(session: Session, suite: str) -> StoredGateResult | None:
    """Return the failure that holds what comes after a gate; results of files, whose bad rows were
    set aside, hold nothing."""
    query = select(gate_results).where(_own(suite)).order_by(gate_results.c.id.desc()).limit(1)
    row = session.execute(query).first()
    return None if row is None or row.success else StoredGateResult(*row)


def _own(suite: str) -> ColumnElement[bool]:
    return (gate_results.c.suite == suite) & gate_results.c.upload_id.is_(None)


def newest_failure(session: Session, suite: str) -> int:
    """Return the id of the newest result that held what comes after a gate, 0 if none ever did."""
    query = select(func.max(gate_results.c.id)).where(
        _own(suite), gate_results.c.success.is_(False)
    )
    return session.scalar(query) or 0


def demand_passed(session: Session, suite: str) -> None:
    """Raise GateFailed if the newest check of a suite failed, in whatever run that was."""
    last = held_by(session, suite)
    if last is not None:
        raise GateFailed(
            f"the gate {suite} failed at offset {last.as_of}: {_told(last)}. "
            "Mend the data and check it again"
        )


def _told(result: StoredGateResult) -> str:
    return "; ".join(f"{f['reason']} ({f['failing']} rows)" for f in result.failures)


def demand(session: Session, suite: str, as_of: int) -> None:
    """Raise GateFailed unless the newest result of a suite speaks of `as_of` and is a success.

    The orchestrator's blocking checks hold within one run only; this holds in every later one.
    """
    last = latest_gate(session, suite)
    if last is None or last.as_of != as_of:
        raise GateFailed(f"the gate {suite} has not been checked at offset {as_of}; run it first")
    if not last.success:
        raise GateFailed(
            f"the gate {suite} failed at offset {as_of}: {_told(last)}. "
            "Mend the data and build the training set again"
        )


def demand_training_set(session: Session) -> training.TrainingSet:
    """Return the newest training set. Raises NothingToLearn if there is none, and GateFailed."""
    built = training.latest_training_set(session)
    if built is None:
        raise NothingToLearn("no training set is built yet; materialise `training_set` first")
    demand(session, "training_set", built.as_of)
    return built


def gate_history(session: Session, suite: str, limit: int = 100) -> list[StoredGateResult]:
    """Return the results of a suite, newest first."""
    query = select(gate_results).where(gate_results.c.suite == suite)
    rows = session.execute(query.order_by(gate_results.c.id.desc()).limit(limit))
    return [StoredGateResult(*row) for row in rows]


def save_report(
    session: Session, kind: str, as_of: int, verdict: str, content: dict[str, Any], at: datetime
) -> int:
    """Store a report and return its id."""
    values = {
        "kind": kind,
        "as_of": as_of,
        "verdict": verdict,
        "content": content,
        "written_at": at,
    }
    return session.scalar(insert(reports).values(values).returning(reports.c.id)) or 0


def record_report(
    session: Session,
    kind: str,
    as_of: int,
    verdict: str,
    content: dict[str, Any],
    actor: str,
    at: datetime,
) -> Report:
    """Store a report, with the event that tells of it."""
    report_id = save_report(session, kind, as_of, verdict, content, at)
    log.append(session, at, ReportWritten(actor, kind, report_id, verdict))
    return Report(report_id, kind, as_of, verdict, content, at)


def report_page(session: Session, kind: str, before_id: int | None, limit: int) -> list[Report]:
    """Return reports of a kind, newest first, below the id `before_id`."""
    query = select(reports).where(reports.c.kind == kind).order_by(reports.c.id.desc())
    if before_id is not None:
        query = query.where(reports.c.id < before_id)
    return [Report(*row) for row in session.execute(query.limit(limit))]


def report_count(session: Session, kind: str) -> int:
    """Return how many reports of a kind there are."""
    return session.scalar(select(func.count()).where(reports.c.kind == kind)) or 0


def get_report(session: Session, report_id: int) -> Report:
    """Return a report; `NotFound` if there is none with that id."""
    row = session.execute(select(reports).where(reports.c.id == report_id)).first()
    if row is None:
        raise NotFound(f"there is no report {report_id}")
    return Report(*row)


def latest_report(session: Session, kind: str) -> Report | None:
    """Return the newest report of a kind."""
    query = select(reports).where(reports.c.kind == kind).order_by(reports.c.id.desc()).limit(1)
    row = session.execute(query).first()
    return None if row is None else Report(*row)
