"""What a mapping is, in plain frozen records: the words of the product, without any I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from llm_pipeline.domain.gate import FailingRow


class Status(StrEnum):
    """Where a mapping stands."""

    PENDING = "pending"
    APPROVED = "approved"
    AUTO_APPROVED = "auto_approved"
    REJECTED = "rejected"
    RETIRED = "retired"


LIVE = (Status.APPROVED, Status.AUTO_APPROVED)


class Action(StrEnum):
    """What a person can decide about a mapping; `reopen` lets a settled one wait again."""

    APPROVE = "approve"
    CORRECT = "correct"
    REJECT = "reject"
    SKIP = "skip"
    REOPEN = "reopen"
    UNDO = "undo"


class Role(StrEnum):
    """What a person may do; each role includes the ones before it."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def reaches(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Source(StrEnum):
    """Which way a submission came in."""

    USER = "user"
    UPLOAD = "upload"
    API = "api"
    FEEDBACK = "feedback"


class State(StrEnum):
    """What a recognition says."""

    MATCHED = "matched"
    NO_MATCH = "no_match"
    NOT_ATTEMPTED = "not_attempted"


@dataclass(frozen=True, slots=True)
class Target:
    """An entry of the catalogue."""

    key: str
    name: str
    category: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    """A text as it arrived, with all that its sender said of it."""

    text: str
    target: str | None = None
    note: str = ""
    source: Source = Source.API
    submitter: str = ""
    occurred_at: datetime | None = None
    amount: float | None = None
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer.

    `evidence` names what spoke for it: `exact` or `key` where memory answered, else those of
    `model`, `neighbour` and `name` that did, joined by ` + `. `example` is the approved text or the
    catalogue's name it rests on; `examples` are the nearest approved texts that mean it, given when
    an explanation was asked for.
    """

    target: str
    probability: float
    evidence: str
    example: str | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recognition:
    """The answer for one text, with the calibrated probability that `target` is right."""

    text: str
    state: State
    target: str | None = None
    probability: float = 0.0
    candidates: tuple[Candidate, ...] = ()
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """How a recogniser did on held-out rows; shares in 0..1, `coverage_at_95` the largest share of
    rows whose most confident answers are at least 95 % right."""

    rows: int
    accuracy: float
    macro_f1: float
    coverage_at_95: float
    ece: float
    brier: float

    def as_metrics(self, prefix: str = "") -> dict[str, float]:
        return {f"{prefix}{name}": float(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a quality gate said about one set of rows.

    `failures` holds one entry per expectation that failed: `expectation`, `column`, `severity`,
    `reason`, `failing` (a count), `listed` (how many of them are in the result's `failing`) and
    `examples` (values or row keys). `figures` are the numbers about all rows that were checked;
    `id` is its number once it is stored.
    """

    suite: str
    success: bool
    severity: str
    rows: int
    checks: int
    failures: tuple[dict[str, Any], ...] = ()
    failing: tuple[FailingRow, ...] = ()
    figures: dict[str, float | None] = field(default_factory=dict)
    in_database: bool = False
    id: int = 0
