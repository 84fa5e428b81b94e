"""How every component is, and the numbers that others measure of their systems."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, FiniteFloat, model_validator

from llm_pipeline.api.auth import Admin, Viewer
from llm_pipeline.api.deps import Given, Happened, Named, Services, Word
from llm_pipeline.api.schemas import FromStore, Incoming
from llm_pipeline.domain.health import Health, worst
from llm_pipeline.domain.limits import Limit, Severity
from llm_pipeline.steps.post_metrics import Judged, Measured, post_metrics, set_limits
from llm_pipeline.store import components, system_metrics
from llm_pipeline.wiring import now

router = APIRouter(tags=["Data Management"])

HISTORY = 20


class ChangeOut(FromStore):
    """A status that a component got, and why."""

    status: Health
    at: datetime
    reason: str


class ComponentOut(FromStore):
    """How a component stands since when; `seen_at` is old for what cannot be asked."""

    component: str
    status: Health
    since: datetime
    reason: str
    detail: str
    seen_at: datetime


class ComponentHistory(ComponentOut):
    """The same, with its newest changes."""

    history: list[ChangeOut]


class SystemStatus(BaseModel):
    """Every component as it was seen last, and the worst status of all."""

    status: Health
    components: list[ComponentOut]


class InfrastructureStatus(BaseModel):
    """The same, with how each came to it."""

    status: Health
    components: list[ComponentHistory]


@router.get("/api/llm-data/system-status", summary="How every component is")
def get_system_status(services: Given, _caller: Viewer) -> SystemStatus:
    found = services.watcher.standing()
    return SystemStatus(
        status=worst([one.status for one in found]),
        components=[ComponentOut.model_validate(one) for one in found],
    )


@router.get(
    "/api/ml/get-infrastructure-status", summary="How every component is, since when, and was"
)
def get_infrastructure_status(services: Given, _caller: Viewer) -> InfrastructureStatus:
    """Asks no component: it tells what was seen last, however long one hangs."""
    return infrastructure_of(services)


def infrastructure_of(services: Services) -> InfrastructureStatus:
    """Return how every component is and was."""
    found = services.watcher.standing()
    with services.parts.read() as session:
        history = components.history(session, HISTORY)
    return InfrastructureStatus(
        status=worst([one.status for one in found]),
        components=[
            ComponentHistory(
                **ComponentOut.model_validate(one).model_dump(),
                history=[ChangeOut.model_validate(was) for was in history.get(one.component, ())],
            )
            for one in found
        ],
    )


class SystemMetrics(Incoming):
    """Numbers of a system; without `at` they are of now."""

    source: Named
    metrics: dict[Named, FiniteFloat] = Field(min_length=1, max_length=100)
    at: Happened | None = None


class LimitIn(Incoming):
    """Between which ends a number is well; outside of them there is an alert. A critical one stops
    automatic approval until the number is back."""

    min: FiniteFloat | None = None
    max: FiniteFloat | None = None
    severity: Severity = "warning"

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` {self.min:g} is above `max` {self.max:g}")
        return self


class MetricLimits(Incoming):
    """All limits of a source: a number that is not named has none."""

    source: Named
    limits: dict[Named, LimitIn] = Field(max_length=100)


class MetricsTaken(BaseModel):
    """What was taken in, how numbers are outside their limits, and whether that, or something
    else, stops automatic approval."""

    source: str
    outside: list[str]
    automation_stopped: bool


class SystemMetric(BaseModel):
    """The newest value of a number, its limit, and how it is outside of it."""

    source: str
    name: str
    value: float | None
    at: datetime | None
    limit: LimitIn | None
    outside: str | None

    @classmethod
    def of(cls, one: system_metrics.SystemMetric) -> Self:
        limit = None
        if one.limit is not None:
            low, high, severity = one.limit.low, one.limit.high, one.limit.severity
            limit = LimitIn(min=low, max=high, severity=severity)
        return cls(
            source=one.source,
            name=one.name,
            value=one.value,
            at=one.at,
            limit=limit,
            outside=one.outside,
        )


Source = Annotated[Word | None, Query(description="numbers of this source; without it of all")]


@router.post(
    "/api/ml/update-system-metrics", status_code=202, summary="Post numbers of a system of yours"
)
def update_system_metrics(services: Given, caller: Admin, body: SystemMetrics) -> MetricsTaken:
    at = now()
    measured = Measured(body.source, body.metrics, body.at or at)
    with services.parts.begin() as session:
        return _taken(body.source, post_metrics(session, measured, caller.user, at))


@router.get("/api/ml/system-metrics", summary="Posted numbers: the newest of each, with its limit")
def list_system_metrics(
    services: Given, _caller: Viewer, source: Source = None
) -> list[SystemMetric]:
    with services.parts.read() as session:
        return [SystemMetric.of(one) for one in system_metrics.all_of(session, source)]


@router.get("/api/ml/system-metrics/limits", summary="The limits of posted numbers")
def list_limits(services: Given, _caller: Admin, source: Source = None) -> list[MetricLimits]:
    found: dict[str, dict[str, LimitIn]] = {}
    for one in list_system_metrics(services, _caller, source):
        if one.limit is not None:
            found.setdefault(one.source, {})[one.name] = one.limit
    return [MetricLimits(source=name, limits=limits) for name, limits in found.items()]


@router.put("/api/ml/system-metrics/limits", summary="Say between which limits numbers are well")
def put_limits(services: Given, caller: Admin, body: MetricLimits) -> MetricsTaken:
    limits = {name: Limit(one.min, one.max, one.severity) for name, one in body.limits.items()}
    with services.parts.begin() as session:
        return _taken(body.source, set_limits(session, body.source, limits, caller.user, now()))


def _taken(source: str, judged: Judged) -> MetricsTaken:
    return MetricsTaken(
        source=source, outside=judged.outside, automation_stopped=judged.automation_stopped
    )
