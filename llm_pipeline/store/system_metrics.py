"""The newest of the numbers that others post of their systems, with the limits they should keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.limits import ALERT_RULE, Limit
from llm_pipeline.store import alerts
from llm_pipeline.store.schema_health import system_metrics


@dataclass(frozen=True, slots=True)
class SystemMetric:
    """A number of a source: its newest value, if one was posted, and its limit, if it has one."""

    source: str
    name: str
    value: float | None
    at: datetime | None
    limit: Limit | None

    @property
    def outside(self) -> str | None:
        """How it is outside its limit, None if it is not."""
        if self.limit is None or self.value is None:
            return None
        return self.limit.broken_by(self.value)


def all_of(session: Session, source: str | None = None) -> list[SystemMetric]:
    """Return the numbers of a source, or of all."""
    query = select(system_metrics).order_by(system_metrics.c.source, system_metrics.c.name)
    if source is not None:
        query = query.where(system_metrics.c.source == source)
    return [_metric(*row) for row in session.execute(query)]


def _metric(source: str, name: str, value: Any, at: Any, *limit: Any) -> SystemMetric:
    low, high, severity = limit
    found = None if severity is None else Limit(low, high, severity)
    return SystemMetric(source, name, value, at, found)


def put_values(
    session: Session, source: str, values: Mapping[str, float], at: datetime
) -> list[SystemMetric]:
    """Keep values as the newest of their numbers, but for those that are older than what is known;
    return the numbers that have a new value."""
    known = {one.name: one for one in all_of(session, source)}
    taken = []
    for name, value in values.items():
        one = known.get(name)
        if one is not None and one.at is not None and one.at > at:
            continue
        _put(session, source, name, known=one is not None, value=value, at=at)
        taken.append(SystemMetric(source, name, value, at, None if one is None else one.limit))
    return taken


def put_limits(session: Session, source: str, limits: Mapping[str, Limit]) -> list[SystemMetric]:
    """Replace the limits of a source; return the numbers whose limit is another one now. One that
    has neither value nor limit is forgotten."""
    known = {one.name: one for one in all_of(session, source)}
    changed = []
    for name in sorted(known.keys() | limits.keys()):
        one, limit = known.get(name), limits.get(name)
        if one is not None and one.limit == limit:
            continue
        low, high, severity = (limit.low, limit.high, limit.severity) if limit else (None,) * 3
        kept = {"low": low, "high": high, "severity": severity}
        _put(session, source, name, known=one is not None, **kept)
        value, at = (None, None) if one is None else (one.value, one.at)
        changed.append(SystemMetric(source, name, value, at, limit))
    m = system_metrics.c
    session.execute(delete(system_metrics).where(m.value.is_(None), m.severity.is_(None)))
    return changed


def _put(session: Session, source: str, name: str, *, known: bool, **values: Any) -> None:
    m = system_metrics.c
    if known:
        row = update(system_metrics).where(m.source == source, m.name == name).values(values)
        session.execute(row)
    else:
        session.execute(insert(system_metrics).values(source=source, name=name, **values))


def judge(session: Session, metric: SystemMetric, actor: str, at: datetime) -> str | None:
    """Raise or resolve the alert of a number; return how it is outside its limit, if it is."""
    subject, outside = f"{metric.source} {metric.name}", metric.outside
    if outside is None or metric.limit is None:
        settle(session, metric, actor, at)
        return None
    told = f"{subject}: {outside}"
    found = alerts.Finding(ALERT_RULE, subject, metric.limit.severity, told)
    alerts.tell(session, found, actor, at)
    return told


def settle(session: Session, metric: SystemMetric, actor: str, at: datetime) -> None:
    """Resolve the alert of a number, if there is one."""
    alerts.settle(session, ALERT_RULE, f"{metric.source} {metric.name}", actor, at)
