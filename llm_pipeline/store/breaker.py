"""What stops automatic approval, and what lets it go on: each stop with its event and its alert."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.automation import ALERTING, OVERDUE_SHARE, Cause, stops_approval
from llm_pipeline.domain.automation_events import AutomationResumed, AutomationStopped
from llm_pipeline.store import alerts, audits, log, policies
from llm_pipeline.store.schema_automation import stops
from llm_pipeline.store.schema_operations import alerts as alert_rows

OVERDUE_WINDOW = timedelta(days=30)
ALERT_RULE = "automatic_approval_stopped"


@dataclass(frozen=True, slots=True)
class Stop:
    """A reason why nothing is approved automatically, and how it ended if it did."""

    id: int
    policy_id: int | None
    cause: Cause
    subject: str
    reason: str
    offset: int
    stopped_at: datetime
    resumed_at: datetime | None
    resumed_by: str | None
    resume_reason: str
    by_person: bool

    @property
    def resumed_by_person(self) -> bool:
        """Whether somebody let it go on whatever the evidence said."""
        return self.resumed_at is not None and self.by_person


def _stop(row: tuple[object, ...]) -> Stop:
    fields = list(row)
    fields[2] = Cause(str(fields[2]))
    return Stop(*fields)  # type: ignore[arg-type]


def open_stops(session: Session) -> list[Stop]:
    """Return what stops automatic approval now, oldest first."""
    query = select(stops).where(stops.c.resumed_at.is_(None)).order_by(stops.c.id)
    return [_stop(tuple(row)) for row in session.execute(query)]


def history(session: Session, limit: int = 50) -> list[Stop]:
    """Return stops, newest first."""
    query = select(stops).order_by(stops.c.id.desc()).limit(limit)
    return [_stop(tuple(row)) for row in session.execute(query)]


def last(session: Session, cause: Cause) -> Stop | None:
    """Return the newest stop for a cause."""
    query = select(stops).where(stops.c.cause == cause.value).order_by(stops.c.id.desc()).limit(1)
    row = session.execute(query).first()
    return None if row is None else _stop(tuple(row))


def stop(
    session: Session, cause: Cause, subject: str, reason: str, actor: str, at: datetime
) -> bool:
    """Stop automatic approval; False if it is stopped for this already."""
    same = stops.c.cause == cause.value, stops.c.subject == subject, stops.c.resumed_at.is_(None)
    if session.scalar(select(stops.c.id).where(*same)) is not None:
        return False
    policy = policies.in_force(session)
    policy_id = None if policy is None else policy.id
    values = {
        "policy_id": policy_id,
        "cause": cause.value,
        "subject": subject,
        "reason": reason,
        "offset": log.next_offset(session),
        "stopped_at": at,
    }
    stop_id = session.scalar(insert(stops).values(values).returning(stops.c.id)) or 0
    told = AutomationStopped(actor, stop_id, cause.value, subject, reason, policy_id)
    log.append(session, at, told)
    message = f"automatic approval stopped: {reason}"
    found = alerts.Finding(ALERT_RULE, f"{cause.value} {subject}".strip(), "critical", message)
    alerts.tell(session, found, actor, at)
    return True


def resume(
    session: Session,
    ended: Stop,
    reason: str,
    actor: str,
    at: datetime,
    *,
    by_person: bool = False,
) -> None:
    """End a stop, with the reason why it is over; `by_person` if no evidence says so."""
    session.execute(
        update(stops)
        .where(stops.c.id == ended.id, stops.c.resumed_at.is_(None))
        .values(resumed_at=at, resumed_by=actor, resume_reason=reason, by_person=by_person)
    )
    still = bool(open_stops(session))
    told = AutomationResumed(actor, ended.id, ended.cause.value, ended.subject, reason, still)
    log.append(session, at, told)
    subject = f"{ended.cause.value} {ended.subject}".strip()
    alerts.settle(session, ALERT_RULE, subject, actor, at)


def look(session: Session, actor: str, at: datetime) -> list[Stop]:
    """Stop for every critical alert of a rule that stops and for audits that nobody answers, go on
    where that is over; return what stops now."""
    _look_for_overdue(session, actor, at)
    a = alert_rows.c
    rules = [cause.value for cause in ALERTING]
    query = select(a.rule, a.subject, a.message).where(
        a.rule.in_(rules), a.severity == "critical", a.resolved_at.is_(None)
    )
    wrong = {
        (row.rule, row.subject): row.message
        for row in session.execute(query)
        if stops_approval(row.rule, row.subject)
    }
    for (rule, subject), message in sorted(wrong.items()):
        stop(session, Cause(rule), subject, message, actor, at)
    for one in open_stops(session):
        if one.cause in ALERTING and (one.cause.value, one.subject) not in wrong:
            resume(session, one, f"the alert {one.cause.value} {one.subject} is over", actor, at)
    return open_stops(session)


def _look_for_overdue(session: Session, actor: str, at: datetime) -> None:
    late = audits.open_count(session, due_before=at)
    due = late and audits.due_count(session, at - OVERDUE_WINDOW, at)
    told = f"{late} of {due} audits due in the last {OVERDUE_WINDOW.days} days are not answered"
    if late and late > OVERDUE_SHARE * due:
        stop(session, Cause.OVERDUE, "", told, actor, at)
        return
    for one in open_stops(session):
        if one.cause is Cause.OVERDUE:
            resume(session, one, f"the audits are answered: {told}", actor, at)


def newest_resumed(session: Session) -> int:
    """Return the id of the newest stop that is over, 0 if there was none."""
    query = select(func.max(stops.c.id)).where(stops.c.resumed_at.is_not(None))
    return session.scalar(query) or 0
