"""Alerts: one open row per rule and subject, raised once, counted again, resolved."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.learning_events import AlertRaised, AlertResolved
from llm_pipeline.errors import NotFound
from llm_pipeline.store import log
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


def reword(session: Session, found: Finding, at: datetime) -> None:
    """Let the open alert of a rule about a subject say what is wrong now."""
    session.execute(
        update(alerts)
        .where(_is_open(found.rule, found.subject), alerts.c.message != found.message)
        .values(message=found.message, updated_at=at)
    )


def resolve(session: Session, rule: str, subject: str, at: datetime) -> int | None:
    """Close the open alert of a rule about a subject and return its id, None if there was none."""
    current = _open_id(session, rule, subject)
    if current is not None:
        session.execute(
            update(alerts).where(alerts.c.id == current).values(resolved_at=at, updated_at=at)
        )
    return current


def tell(session: Session, found: Finding, actor: str, at: datetime) -> None:
    """Open an alert and tell of it; one that is open already is only counted."""
    opened = raise_once(session, found, at)
    if opened is not None:
        told = AlertRaised(actor, opened, found.rule, found.severity, found.message, found.subject)
        log.append(session, at, told)


def settle(session: Session, rule: str, subject: str, actor: str, at: datetime) -> None:
    """Close the open alert of a rule about a subject, if there is one, and tell of it."""
    closed = resolve(session, rule, subject, at)
    if closed is not None:
        log.append(session, at, AlertResolved(actor, closed, rule, subject))


def _open_id(session: Session, rule: str, subject: str) -> int | None:
    return session.scalar(select(alerts.c.id).where(_is_open(rule, subject)))


def _is_open(rule: str, subject: str) -> ColumnElement[bool]:
    of_it = and_(alerts.c.rule == rule, alerts.c.subject == subject)
    return and_(of_it, alerts.c.resolved_at.is_(None))


def open_alerts(session: Session, limit: int = 100) -> list[Alert]:
    """Return the open alerts, newest first."""
    query = select(alerts).where(alerts.c.resolved_at.is_(None))
    rows = session.execute(query.order_by(alerts.c.id.desc()).limit(limit))
    return [Alert(*row) for row in rows]


def page(session: Session, before_id: int | None, limit: int) -> list[Alert]:
    """Return alerts, open or over, newest first, below the id `before_id`."""
    query = select(alerts).order_by(alerts.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(alerts.c.id < before_id)
    return [Alert(*row) for row in session.execute(query)]


def count(session: Session) -> int:
    """Return how many alerts there ever were."""
    return session.scalar(select(func.count()).select_from(alerts)) or 0


def get(session: Session, alert_id: int) -> Alert:
    """Return an alert; `NotFound` if there is none with that id."""
    row = session.execute(select(alerts).where(alerts.c.id == alert_id)).first()
    if row is None:
        raise NotFound(f"there is no alert {alert_id}")
    return Alert(*row)


def acknowledge(session: Session, alert_id: int, actor: str, at: datetime) -> bool:
    """Record who saw an alert first; whether it was this person, just now."""
    result = session.execute(
        update(alerts)
        .where(alerts.c.id == alert_id, alerts.c.acknowledged_at.is_(None))
        .values(acknowledged_at=at, acknowledged_by=actor)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]
