"""Post metrics: numbers of a system, measured elsewhere, are kept, told and held to limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.health_events import MetricLimitsSet, MetricsPosted
from llm_pipeline.domain.limits import Limit
from llm_pipeline.store import breaker, log, metrics, system_metrics
from llm_pipeline.store.engine import Session


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers of a source at a time."""

    source: str
    metrics: Mapping[str, float]
    at: datetime


@dataclass(frozen=True, slots=True)
class Judged:
    """How numbers are outside their limits, and whether automatic approval is stopped now."""

    outside: list[str]
    automation_stopped: bool


def post_metrics(session: Session, measured: Measured, actor: str, at: datetime) -> Judged:
    """Store numbers, tell of them, and alert on those outside their limits; one whose limit is
    critical stops automatic approval until it is back. What is older than known is only stored."""
    source, values = measured.source, dict(measured.metrics)
    metrics.add(session, f"system:{source}", values, measured.at)
    newest = system_metrics.put_values(session, source, values, measured.at)
    told = [system_metrics.judge(session, one, actor, at) for one in newest]
    outside = [one for one in told if one is not None]
    log.append(session, at, MetricsPosted(actor, source, values, outside))
    return Judged(outside, bool(breaker.look(session, actor, at)))


def set_limits(
    session: Session, source: str, limits: Mapping[str, Limit], actor: str, at: datetime
) -> Judged:
    """Replace the limits of a source's numbers; the values there are, are held to them at once."""
    changed = system_metrics.put_limits(session, source, limits)
    told = {name: limit.explain() for name, limit in sorted(limits.items())}
    log.append(session, at, MetricLimitsSet(actor, source, told))
    for one in changed:
        # An alert keeps the severity it was raised with: the new limit raises its own.
        system_metrics.settle(session, one, actor, at)
        system_metrics.judge(session, one, actor, at)
    outside = [
        f"{source} {one.name}: {one.outside}"
        for one in system_metrics.all_of(session, source)
        if one.outside
    ]
    return Judged(outside, bool(breaker.look(session, actor, at)))
