"""Alerts: one open row per rule and subject, raised once, counted again, resolved."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.store.schema_operations import alerts


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that needs a person, or did."""

    id: int
    rule: str
    subject: str
    severity: str
    message: str
    times: int
    raised_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found wrong about a subject."""

    rule: str
    subject: str
    severity: str
    message: str


def raise_once(session: Session, found: Finding, at: datetime) -> int | None:
    """Open an alert and return its id; one that is open already is counted again, and is None."""
    current = _open_id(session, found.rule, found.subject)
    if current is not None:
        session.execute(
            update(alerts)
            .where(alerts.c.id == current)
            .values(times=alerts.c.times + 1, message=found.message, updated_at=at)
        )
        return None
    values = {
        "rule": found.rule,
        "subject": found.subject,
        "severity": found.severity,
        "message": found.message,
        "raised_at": at,
        "updated_at": at,
    }
    return int(session.scalar(insert(alerts).values(values).returning(alerts.c.id)) or 0)


def resolve(session: Session, rule: str, subject: str, at: datetime) -> int | None:
    """Close the open alert of a rule about a subject and return its id, None if there was none."""
    current = _open_id(session, rule, subject)
    if current is not None:
        session.execute(
            update(alerts).where(alerts.c.id == current).values(resolved_at=at, updated_at=at)
        )
    return current


def _open_id(session: Session, rule: str, subject: str) -> int | None:
    return session.scalar(
        select(alerts.c.id).where(
            alerts.c.rule == rule, alerts.c.subject == subject, alerts.c.resolved_at.is_(None)
        )
    )


def open_alerts(session: Session, limit: int = 100) -> list[Alert]:
    """Return the open alerts, newest first."""
    query = select(alerts).where(alerts.c.resolved_at.is_(None))
    rows = session.execute(query.order_by(alerts.c.id.desc()).limit(limit))
    return [Alert(*row) for row in rows]
