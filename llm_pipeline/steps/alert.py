"""Alert: tell people that something is wrong, once, and that it is over."""

from datetime import datetime

from llm_pipeline.domain.learning_events import AlertAcknowledged
from llm_pipeline.store import alerts, log
from llm_pipeline.store.engine import Session


def raise_alert(
    session: Session,
    rule: str,
    subject: str,
    severity: str,
    message: str,
    actor: str,
    at: datetime,
) -> None:
    """Open an alert and tell of it; one that is open already is only counted."""
    alerts.tell(session, alerts.Finding(rule, subject, severity, message), actor, at)


def resolve_alert(session: Session, rule: str, subject: str, actor: str, at: datetime) -> None:
    """Close the open alert of a rule about a subject, if there is one."""
    alerts.settle(session, rule, subject, actor, at)


def acknowledge_alert(session: Session, alert_id: int, actor: str, at: datetime) -> alerts.Alert:
    """Record that somebody saw an alert; a second time changes nothing. Raises NotFound."""
    found = alerts.get(session, alert_id)
    if alerts.acknowledge(session, alert_id, actor, at):
        log.append(session, at, AlertAcknowledged(actor, alert_id, found.rule))
    return alerts.get(session, alert_id)
