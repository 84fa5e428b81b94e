"""The JSON of automatic approval."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm_pipeline.api.deps import Word
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.records import Status
from llm_pipeline.store.breaker import Stop
from llm_pipeline.store.policies import Policy

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class NewPolicy(Incoming):
    """The bound that is wanted; what is left out stays as it is. `stop` and `resume` need a
    reason."""

    max_error: Share | None = None
    confidence: Share | None = None
    stop: bool = False
    resume: bool = False
    reason: Word = ""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("send max_error, confidence, stop or resume; a reason alone fits anew")
        return self


class StratumOut(BaseModel):
    """A group of answers that is approved automatically: single rows from a probability of
    `threshold` on. `bound` is the share that is wrong at most, by this group's audits alone."""

    stratum: str
    threshold: float
    audits: int
    errors: int
    bound: float
    because: str


class StopOut(BaseModel):
    """Why automatic approval stopped, and how it ended if it did."""

    id: int
    policy_id: int | None
    cause: str
    subject: str
    reason: str
    offset: int
    stopped_at: datetime
    resumed_at: datetime | None
    resumed_by: str | None
    resume_reason: str

    @classmethod
    def of(cls, stored: Stop) -> Self:
        return cls(**{name: getattr(stored, name) for name in cls.model_fields})


class RefutedOut(BaseModel):
    """Answers of one kind that the policy leaves out: of their audits, those of the last `months`
    or all that count, more are wrong than `allowed`, the share that the bound and their
    probabilities allow. `overdue` of the wrong ones were not answered in time."""

    stratum: str
    audits: int
    errors: int
    allowed: float
    months: int | None
    overdue: int
    because: str


class PolicyOut(BaseModel):
    """A version of the policy with what it rests on.

    `missing_audits` is how many more audits without an error are needed before anything can be
    approved; `share` of all submissions is audited under it; `leaves_out` are kinds of answers that
    would be approved, did their own audits not speak against them.
    """

    version: int
    max_error: float
    confidence: float
    approves: list[StratumOut]
    leaves_out: list[RefutedOut]
    audits: int
    errors: int
    bound: float
    because: str
    missing_audits: int
    share: float
    evidence: dict[str, Any]
    reason: str
    actor: str
    offset: int
    created_at: datetime

    @classmethod
    def of(cls, stored: Policy) -> Self:
        rule = Rule.from_json(stored.rule)
        names = ("max_error", "confidence", "share", "evidence", "reason", "actor", "offset")
        return cls(
            version=stored.id,
            approves=[
                StratumOut(
                    stratum=part.stratum,
                    threshold=part.threshold,
                    audits=part.audits,
                    errors=part.errors,
                    bound=part.bound,
                    because=rule.explain(part.stratum),
                )
                for part in rule.accepted
            ],
            leaves_out=[
                RefutedOut(**asdict(part), because=part.explain()) for part in rule.left_out
            ],
            audits=rule.audits,
            errors=rule.errors,
            bound=rule.bound,
            because=stored.evidence["sentence"],
            missing_audits=stored.evidence["missing"],
            created_at=stored.created_at,
            **{name: getattr(stored, name) for name in names},
        )


class WatchOut(BaseModel):
    """What the audits of automatic approvals say since the bound is wanted: `evidence` is how
    strongly they favour a broken bound, `stops_at` how strongly they must for a stop."""

    audits: int
    errors: int
    evidence: float
    stops_at: float


class HeldOut(BaseModel):
    """Repeats of approved texts that wait for a person and are not approved automatically:
    `rows` submissions of so many mappings."""

    mappings: int
    rows: int


class StandingOut(BaseModel):
    """How automatic approval stands. It is `on` if a policy approves something and nothing stops
    it; `sentence` says it all in one."""

    on: bool
    sentence: str
    max_error: float
    confidence: float
    policy: PolicyOut | None
    stops: list[StopOut]
    missing_audits: int
    open_audits: int
    overdue_audits: int
    auto_approved: int
    held: HeldOut
    watch: WatchOut | None


class AuditOut(BaseModel):
    """A text to be audited, without any answer; `rows` submissions hang on it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    mapping_id: int
    text: str
    rows: int
    sampled_at: datetime
    due_at: datetime


class AuditAnswer(Incoming):
    """What the text means, null for no entry of the catalogue."""

    target: Word | None


class AuditAnswered(BaseModel):
    """What came of an audit: whether the system's answer was right (null if it had none), and how
    the mapping stands now."""

    audit_id: int
    mapping_id: int
    right: bool | None
    status: Status
    target: str | None
    decision: int | None
