"""What happens to automatic approval: policies, audits, stops, and the trainings asked for."""

from dataclasses import dataclass, field
from typing import ClassVar

from llm_pipeline.domain.event import Event


@dataclass(frozen=True, slots=True)
class PolicyFitted(Event):
    """A new version of the policy is in force; `approves` says what it approves, and why it may;
    `leaves_out` what it does not, as its own audits speak against it."""

    name: ClassVar[str] = "policy:fitted"
    policy_id: int
    max_error: float
    confidence: float
    audits: int
    share: float
    approves: list[str]
    reason: str
    leaves_out: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MappingAutoApproved(Event):
    """The policy approved `rows` waiting mappings; the one of a single act is `mapping_id`."""

    name: ClassVar[str] = "mapping:auto_approved"
    rows: int
    policy_id: int
    model_version: str
    because: list[str]
    mapping_id: int | None = None
    text: str | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class AuditsDrawn(Event):
    """Submissions were drawn by lot for people who do not see the answer."""

    name: ClassVar[str] = "audit:drawn"
    lot_id: int
    audits: int
    share: float


@dataclass(frozen=True, slots=True)
class RepeatsHeld(Event):
    """Repeats of approved texts wait for a person: the policy finds them too doubtful. They are
    `rows` submissions of so many mappings; the one of a single act is `mapping_id`."""

    name: ClassVar[str] = "audit:held"
    mappings: int
    rows: int
    policy_id: int
    mapping_id: int | None = None


@dataclass(frozen=True, slots=True)
class AuditAnswered(Event):
    """A person audited a mapping; `right` is whether the system's answer was, null if it had none.
    `policy_id` is the policy that had approved it, or had let it pass as a repeat."""

    name: ClassVar[str] = "audit:answered"
    audit_id: int
    mapping_id: int
    target: str | None
    right: bool | None
    policy_id: int | None


@dataclass(frozen=True, slots=True)
class AutomationStopped(Event):
    """Automatic approval stopped."""

    name: ClassVar[str] = "automation:stopped"
    stop_id: int
    cause: str
    subject: str
    reason: str
    policy_id: int | None


@dataclass(frozen=True, slots=True)
class AutomationResumed(Event):
    """What had stopped automatic approval is over; it goes on once nothing else stops it."""

    name: ClassVar[str] = "automation:resumed"
    stop_id: int
    cause: str
    subject: str
    reason: str
    still_stopped: bool


@dataclass(frozen=True, slots=True)
class LearningWanted(Event):
    """Something asked for a training: `version` tells the state of the data it asks about."""

    name: ClassVar[str] = "learning:wanted"
    wanted_id: int
    kind: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class FeedbackGiven(Event):
    """Somebody outside said of answers whether they were right."""

    name: ClassVar[str] = "feedback:given"
    items: int
    right: int
    wrong: int
    mappings: list[int]
    wrong_mappings: list[int]
