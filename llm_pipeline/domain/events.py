"""Everything that can happen, as `source:past-tense` events: one frozen dataclass per event.

The log stores `name` and the fields as JSON. A single act is one event; a bulk act is one event per
chunk, with its counts and the id of the upload it belongs to.
"""

from dataclasses import dataclass
from typing import ClassVar

from llm_pipeline.domain.event import Event as Event
from llm_pipeline.domain.learning_events import (
    AlertRaised as AlertRaised,
)
from llm_pipeline.domain.learning_events import (
    AlertResolved as AlertResolved,
)
from llm_pipeline.domain.learning_events import (
    GateChecked as GateChecked,
)
from llm_pipeline.domain.learning_events import (
    LabelsDoubted as LabelsDoubted,
)
from llm_pipeline.domain.learning_events import (
    LabelUpheld as LabelUpheld,
)
from llm_pipeline.domain.learning_events import (
    ModelPromoted as ModelPromoted,
)
from llm_pipeline.domain.learning_events import (
    ModelRefused as ModelRefused,
)
from llm_pipeline.domain.learning_events import (
    ModelTrained as ModelTrained,
)
from llm_pipeline.domain.learning_events import (
    ReportWritten as ReportWritten,
)
from llm_pipeline.domain.learning_events import (
    TrainingSetBuilt as TrainingSetBuilt,
)


@dataclass(frozen=True, slots=True)
class TargetsLoaded(Event):
    """Entries of the catalogue were created or changed."""

    name: ClassVar[str] = "catalogue:loaded"
    created: int
    changed: int
    total: int


@dataclass(frozen=True, slots=True)
class TargetRetired(Event):
    """A target can be chosen no more; `into` took its place, if anything did."""

    name: ClassVar[str] = "target:retired"
    target: str
    into: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class TargetRestored(Event):
    """A retired target can be chosen again."""

    name: ClassVar[str] = "target:restored"
    target: str


@dataclass(frozen=True, slots=True)
class MappingsMoved(Event):
    """Live mappings followed a retired target, or wait again; `waiting` ones propose it no more."""

    name: ClassVar[str] = "mappings:moved"
    target: str
    into: str | None
    live: int
    waiting: int


@dataclass(frozen=True, slots=True)
class UploadStarted(Event):
    """A file's ingest began, or was taken up again at `from_row`."""

    name: ClassVar[str] = "upload:started"
    upload_id: int
    filename: str
    from_row: int


@dataclass(frozen=True, slots=True)
class SubmissionsReceived(Event):
    """Rows arrived: one (`upload_id` is null, `mapping_id` set), or a chunk of an upload."""

    name: ClassVar[str] = "submission:received"
    rows: int
    rejected: int = 0
    new_mappings: int = 0
    pending: int = 0
    upload_id: int | None = None
    mapping_id: int | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class UploadFinished(Event):
    """Every row of a file is accounted for."""

    name: ClassVar[str] = "upload:finished"
    upload_id: int
    rows: int
    accepted: int
    rejected: int


@dataclass(frozen=True, slots=True)
class UploadCancelled(Event):
    """Somebody stopped a file on its way in; what was taken in by then stays."""

    name: ClassVar[str] = "upload:cancelled"
    upload_id: int
    rows: int
    accepted: int
    rejected: int


@dataclass(frozen=True, slots=True)
class TextRecognized(Event):
    """The recogniser's suggestion was stored for one text (`mapping_id`) or a batch."""

    name: ClassVar[str] = "text:recognized"
    rows: int
    matched: int
    model_version: str | None
    mapping_id: int | None = None
    target: str | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class ReviewRequested(Event):
    """Texts wait for a person."""

    name: ClassVar[str] = "review:requested"
    rows: int
    mapping_id: int | None = None


@dataclass(frozen=True, slots=True)
class ReviewDecided(Event):
    """A person decided about one mapping."""

    name: ClassVar[str] = "review:decided"
    mapping_id: int
    decision_id: int
    action: str
    target: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class GroupDecided(Event):
    """A person settled a group of like texts at once, or took that back: one chunk of it."""

    name: ClassVar[str] = "review:group_decided"
    group_id: int
    action: str
    target: str | None
    mappings: int
    rows: int
    displaced: int
    reason: str


@dataclass(frozen=True, slots=True)
class OpinionGiven(Event):
    """A person answered groups that two must answer, each without seeing the other's answer;
    `disputed` of them were answered in two ways."""

    name: ClassVar[str] = "review:opinion_given"
    group_id: int
    groups: int
    disputed: int


@dataclass(frozen=True, slots=True)
class MappingApproved(Event):
    """A text means a target from now on (`mapping_id`), or `rows` texts of an upload do."""

    name: ClassVar[str] = "mapping:approved"
    rows: int
    mapping_id: int | None = None
    text: str | None = None
    target: str | None = None
    upload_id: int | None = None


@dataclass(frozen=True, slots=True)
class MappingRejected(Event):
    """A text means no entry of the catalogue, or its proposal was refused."""

    name: ClassVar[str] = "mapping:rejected"
    mapping_id: int
    text: str


@dataclass(frozen=True, slots=True)
class MappingReopened(Event):
    """A decision was undone; the mapping waits again."""

    name: ClassVar[str] = "mapping:reopened"
    mapping_id: int
    text: str


@dataclass(frozen=True, slots=True)
class PlanPreviewed(Event):
    """A person asked what an action would do to all mappings that a filter matches."""

    name: ClassVar[str] = "plan:previewed"
    plan_id: int
    action: str
    target: str | None
    mappings: int


@dataclass(frozen=True, slots=True)
class MappingsDecided(Event):
    """A chunk of a plan was carried out: `decided` mappings changed, `displaced` live ones gave
    way, `left` were left alone because somebody changed them in between."""

    name: ClassVar[str] = "mappings:decided"
    plan_id: int
    action: str
    decided: int
    displaced: int
    left: int
    progress: int
    total: int


@dataclass(frozen=True, slots=True)
class PlanApplied(Event):
    """Every item of a plan is accounted for."""

    name: ClassVar[str] = "plan:applied"
    plan_id: int
    decided: int
    left: int


@dataclass(frozen=True, slots=True)
class PlanUndone(Event):
    """A plan was taken back, but for what was decided again since."""

    name: ClassVar[str] = "plan:undone"
    plan_id: int
    undone: int
    left: int


@dataclass(frozen=True, slots=True)
class PlanStopped(Event):
    """A plan stopped part-way: a person cancelled it, or it failed with `error`."""

    name: ClassVar[str] = "plan:stopped"
    plan_id: int
    progress: int
    total: int
    error: str


EVENTS: dict[str, type[Event]] = {event.name: event for event in Event.__subclasses__()}
