"""What happens to components, and to the numbers that others measure of their systems."""

from dataclasses import dataclass
from typing import ClassVar

from llm_pipeline.domain.event import Event


@dataclass(frozen=True, slots=True)
class ComponentChanged(Event):
    """A component is well, degraded or down from now on; `before` is null at the first look."""

    name: ClassVar[str] = "component:changed"
    component: str
    status: str
    before: str | None
    reason: str
    since: str


@dataclass(frozen=True, slots=True)
class MetricsPosted(Event):
    """Somebody posted numbers of a system; `outside` says which are outside their limits."""

    name: ClassVar[str] = "metrics:posted"
    source: str
    metrics: dict[str, float]
    outside: list[str]


@dataclass(frozen=True, slots=True)
class MetricLimitsSet(Event):
    """An admin said between which limits the numbers of a source are well."""

    name: ClassVar[str] = "metrics:limits_set"
    source: str
    limits: dict[str, str]
