"""What happens to gates, training sets, models, labels, alerts and reports."""

from dataclasses import dataclass, field
from typing import ClassVar

from llm_pipeline.domain.event import Event


@dataclass(frozen=True, slots=True)
class GateChecked(Event):
    """A quality gate looked at rows; `failures` says why where it failed."""

    name: ClassVar[str] = "gate:checked"
    suite: str
    success: bool
    severity: str
    rows: int
    failures: list[str]


@dataclass(frozen=True, slots=True)
class TrainingSetBuilt(Event):
    """The approved mappings at `as_of` were frozen as a training set."""

    name: ClassVar[str] = "training_set:built"
    as_of: int
    rows: int
    texts: int
    targets: int


@dataclass(frozen=True, slots=True)
class ModelTrained(Event):
    """A model was trained, evaluated and registered as challenger."""

    name: ClassVar[str] = "model:trained"
    version: str
    run_id: str
    as_of: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class ModelPromoted(Event):
    """A model became champion: from now on it answers. `comparison` has the numbers of the paired
    test, by the names that MLflow has them under."""

    name: ClassVar[str] = "model:promoted"
    version: str
    replaced: str | None
    as_of: int
    reason: str
    comparison: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelRefused(Event):
    """A challenger did not beat the champion."""

    name: ClassVar[str] = "model:refused"
    version: str
    champion: str
    reason: str
    comparison: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelsDoubted(Event):
    """Approved mappings at `as_of` were compared with what all others teach; `doubted` of them
    are listed for review."""

    name: ClassVar[str] = "labels:doubted"
    as_of: int
    texts: int
    doubted: int


@dataclass(frozen=True, slots=True)
class LabelUpheld(Event):
    """A person said that a doubted label is right."""

    name: ClassVar[str] = "label:upheld"
    mapping_id: int
    target: str


@dataclass(frozen=True, slots=True)
class AlertRaised(Event):
    """Something needs a person."""

    name: ClassVar[str] = "alert:raised"
    alert_id: int
    rule: str
    severity: str
    message: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class AlertAcknowledged(Event):
    """A person saw an alert; it stays open until what it speaks of is over."""

    name: ClassVar[str] = "alert:acknowledged"
    alert_id: int
    rule: str


@dataclass(frozen=True, slots=True)
class AlertResolved(Event):
    """What an alert spoke of is over."""

    name: ClassVar[str] = "alert:resolved"
    alert_id: int
    rule: str
    subject: str = ""


@dataclass(frozen=True, slots=True)
class ReportWritten(Event):
    """A quality, performance or forecast report was stored."""

    name: ClassVar[str] = "report:written"
    kind: str
    report_id: int
    verdict: str


@dataclass(frozen=True, slots=True)
class ModelImported(Event):
    """A model that was trained elsewhere was registered; it answers once it is promoted."""

    name: ClassVar[str] = "model:imported"
    version: str
    run_id: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelShadowing(Event):
    """A challenger that is better on held-out texts answers live ones beside the champion, until
    people decided about `needed` of them."""

    name: ClassVar[str] = "model:shadowing"
    version: str
    champion: str
    needed: int
    reason: str


@dataclass(frozen=True, slots=True)
class HistoryForgotten(Event):
    """What was old and nobody needed was deleted; the log begins at `first_offset` now."""

    name: ClassVar[str] = "history:forgotten"
    first_offset: int
    counts: dict[str, int]
