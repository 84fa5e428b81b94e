"""What is deleted when it is old enough, a chunk at a time. Never decisions, spans, submissions,
mappings, targets, policies, audits, stops, training sets, the rows of models, or open alerts.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, delete, func, or_, select
from sqlalchemy.orm import Session

from llm_pipeline.store import log, models
from llm_pipeline.store.schema import events, idempotency_keys
from llm_pipeline.store.schema_automation import shadow_answers
from llm_pipeline.store.schema_health import component_changes
from llm_pipeline.store.schema_operations import (
    credentials,
    gate_results,
    gate_rows,
    leases,
    metrics,
    reports,
    webhook_deliveries,
    webhooks,
)
from llm_pipeline.store.schema_operations import models as model_rows
from llm_pipeline.store.schema_review import review_skips

CHUNK = 5_000


def first_kept(session: Session, before: datetime) -> int:
    """Return the offset below which no event is needed any more.

    Only the beginning of the log goes, so what stays has no gaps. The newest event stays, or the
    next would begin at 1 again; what was said since the last training is counted by it; and what a
    webhook has not been handed yet is still to be told.
    """
    handed = select(func.min(webhooks.c.upto)).where(webhooks.c.disabled_at.is_(None))
    newest = log.latest(session)
    needed = [newest, models.trained_up_to(session) + 1]
    upto = session.scalar(handed)
    if upto is not None:
        needed.append(upto + 1)
    waiting = select(func.min(webhook_deliveries.c.offset))
    pending = session.scalar(waiting.where(webhook_deliveries.c.status == "pending"))
    if pending is not None:
        needed.append(pending)
    return min(_first_since(session, before, newest), *needed)


def _first_since(session: Session, at: datetime, newest: int) -> int:
    """Return the first offset not before a time, by halves: offsets have no gaps."""
    low = log.first(session)
    high = newest + 1
    while low < high:
        middle = (low + high) // 2
        when = session.scalar(select(events.c.at).where(events.c.offset == middle))
        if when is not None and when < at:
            low = middle + 1
        else:
            high = middle
    return low


def events_below(session: Session, offset: int) -> int:
    """Delete the oldest events below an offset, a chunk at most; return how many."""
    return _delete(session, events, events.c.offset < min(offset, log.first(session) + CHUNK))


def gates_before(session: Session, at: datetime) -> int:
    """Delete old gate results, with the rows they name, but the newest of each suite, which still
    holds."""
    newest = select(func.max(gate_results.c.id)).group_by(gate_results.c.suite)
    old = gate_results.c.checked_at < at, gate_results.c.id.not_in(newest)
    _delete(session, gate_rows, gate_rows.c.result_id.in_(_oldest(gate_results, *old)))
    return _some(session, gate_results, *old)


def reports_before(session: Session, at: datetime) -> int:
    """Delete old reports but the newest of each kind, which holds what earlier ones forecast."""
    newest = select(func.max(reports.c.id)).group_by(reports.c.kind)
    return _some(session, reports, reports.c.written_at < at, reports.c.id.not_in(newest))


def metrics_before(session: Session, at: datetime) -> int:
    """Delete old posted numbers."""
    return _some(session, metrics, metrics.c.at < at)


def deliveries_before(session: Session, at: datetime) -> int:
    """Delete deliveries that ended, whichever way, and were last tried long ago."""
    d = webhook_deliveries.c
    return _some(session, webhook_deliveries, d.status != "pending", d.tried_at < at)


def changes_before(session: Session, at: datetime) -> int:
    """Delete what components were long ago, but not how each is."""
    newest = select(func.max(component_changes.c.id)).group_by(component_changes.c.component)
    old = component_changes.c.at < at, component_changes.c.id.not_in(newest)
    return _some(session, component_changes, *old)


def keys_before(session: Session, at: datetime) -> int:
    """Delete the keys of requests that nobody sends again."""
    return _delete(session, idempotency_keys, idempotency_keys.c.created_at < at)


def credentials_before(session: Session, at: datetime) -> int:
    """Delete sessions, links and tokens that ended long ago."""
    c = credentials.c
    return _some(session, credentials, or_(c.expires_at < at, c.used_at < at, c.revoked_at < at))


def leases_before(session: Session, at: datetime) -> int:
    """Delete leases and skips of the review queue that ran out."""
    skips = _delete(session, review_skips, review_skips.c.expires_at < at)
    return skips + _delete(session, leases, leases.c.expires_at < at)


def shadows_before(session: Session, at: datetime) -> int:
    """Delete what models answered in the shadow that are no challengers any more."""
    running = select(model_rows.c.version).where(model_rows.c.status == "challenger")
    s = shadow_answers.c
    return _delete(session, shadow_answers, s.answered_at < at, s.model_version.not_in(running))


def _some(session: Session, table: Table, *of: ColumnElement[bool]) -> int:
    return _delete(session, table, table.c.id.in_(_oldest(table, *of)))


def _oldest(table: Table, *of: ColumnElement[bool]) -> Select[tuple[int]]:
    return select(table.c.id).where(*of).order_by(table.c.id).limit(CHUNK)


def _delete(session: Session, table: Table, *of: ColumnElement[bool]) -> int:
    result: Any = session.execute(delete(table).where(*of))
    return int(result.rowcount)
