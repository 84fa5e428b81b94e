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


def open_alert(session: Session, rule: str, subject: str) -> Alert | None:
    """Return the open alert of a rule about a subject."""
    row = session.execute(
        select(alerts).where(
            alerts.c.rule == rule, alerts.c.subject == subject, alerts.c.resolved_at.is_(None)
        )
    ).first()
    return None if row is None else Alert(*row)


def add(
    session: Session, rule: str, subject: str, severity: str, message: str, at: datetime
) -> int:
    """Open an alert and return its id."""
    values = {
        "rule": rule,
        "subject": subject,
        "severity": severity,
        "message": message,
        "raised_at": at,
        "updated_at": at,
    }
    return session.scalar(insert(alerts).values(values).returning(alerts.c.id)) or 0


def repeat(session: Session, alert_id: int, message: str, at: datetime) -> None:
    """Count an open alert once more, with what was said last."""
    session.execute(
        update(alerts)
        .where(alerts.c.id == alert_id)
        .values(times=alerts.c.times + 1, message=message, updated_at=at)
    )


def resolve(session: Session, alert_id: int, at: datetime) -> None:
    """Close an alert: what it spoke of is over."""
    session.execute(
        update(alerts).where(alerts.c.id == alert_id).values(resolved_at=at, updated_at=at)
    )


def open_alerts(session: Session, limit: int = 100) -> list[Alert]:
    """Return the open alerts, newest first."""
    query = select(alerts).where(alerts.c.resolved_at.is_(None))
    rows = session.execute(query.order_by(alerts.c.id.desc()).limit(limit))
    return [Alert(*row) for row in rows]
