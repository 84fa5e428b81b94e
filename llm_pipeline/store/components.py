"""How every component stands, and how that changed."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.health import RULES, SEVERITIES, Health, Seen, Standing
from llm_pipeline.domain.health_events import ComponentChanged
from llm_pipeline.store import alerts, log
from llm_pipeline.store.schema_health import component_changes, component_states


@dataclass(frozen=True, slots=True)
class Change:
    """A status that a component got."""

    component: str
    status: Health
    reason: str
    at: datetime


def states(session: Session) -> dict[str, Standing]:
    """Return how every component stands, by its name."""
    query = select(component_states).order_by(component_states.c.component)
    return {row[0]: Standing(row[0], Health(row[1]), *row[2:]) for row in session.execute(query)}


def touch(session: Session, seen: Seen, at: datetime) -> None:
    """Record that a component was seen, with the status it had before; its alert says what is
    wrong now."""
    session.execute(
        update(component_states)
        .where(component_states.c.component == seen.component)
        .values(reason=seen.reason, detail=seen.detail, seen_at=at)
    )
    if seen.status is not Health.OK:
        alerts.reword(session, _finding(seen), at)


def change(
    session: Session, seen: Seen, before: Standing | None, since: datetime, actor: str, at: datetime
) -> bool:
    """Give a component another status, or its first, with event and alert; return whether that is
    news, which a first one is only if it is not well."""
    values = {
        "status": seen.status.value,
        "since": since,
        "reason": seen.reason,
        "detail": seen.detail,
        "seen_at": at,
    }
    if before is None:
        session.execute(insert(component_states).values(component=seen.component, **values))
    else:
        of_it = component_states.c.component == seen.component
        session.execute(update(component_states).where(of_it).values(values))
    told = {"component": seen.component, "status": seen.status.value, "reason": seen.reason}
    session.execute(insert(component_changes).values(**told, at=since))
    if before is None and seen.status is Health.OK:
        return False
    was = None if before is None else before.status.value
    log.append(session, at, ComponentChanged(actor, before=was, since=since.isoformat(), **told))
    _alert(session, seen, actor, at)
    return True


def _alert(session: Session, seen: Seen, actor: str, at: datetime) -> None:
    for status, rule in RULES.items():
        if status is not seen.status:
            alerts.settle(session, rule, seen.component, actor, at)
    if seen.status is not Health.OK:
        alerts.tell(session, _finding(seen), actor, at)


def _finding(seen: Seen) -> alerts.Finding:
    message = f"{seen.component} is {seen.status.value}: {seen.reason or seen.detail}"
    return alerts.Finding(RULES[seen.status], seen.component, SEVERITIES[seen.status], message)


def history(session: Session, each: int) -> dict[str, list[Change]]:
    """Return the newest changes of every component, up to so many of each, newest first."""
    c = component_changes.c
    place = func.row_number().over(partition_by=c.component, order_by=c.id.desc())
    ranked = select(component_changes, place.label("place")).subquery()
    query = select(ranked).where(ranked.c.place <= each).order_by(ranked.c.id.desc())
    found: dict[str, list[Change]] = defaultdict(list)
    for row in session.execute(query):
        found[row.component].append(Change(row.component, Health(row.status), row.reason, row.at))
    return dict(found)
