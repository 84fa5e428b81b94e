"""The JSON of plans: what is asked for, and how a plan is told."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llm_pipeline.api.deps import Moment, Word
from llm_pipeline.api.narrowing import narrowed
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.domain.plans import PlanStatus
from llm_pipeline.domain.records import Action, Source, Status
from llm_pipeline.store import plans
from llm_pipeline.store.filters import Filter

MOST_IDS = 10_000


class PlanFilter(Incoming):
    """The filter of the list of mappings; an empty one matches all."""

    q: Word = ""
    status: Status | list[Status] | None = None
    target: Word | None = None
    category: Word | None = None
    source: Source | None = None
    upload: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    submitter: Word | None = None
    since: Moment | None = None
    until: Moment | None = None
    policy: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    model: Word | None = None
    decided_by: Word | None = None

    def record(self) -> Filter:
        statuses = [self.status] if isinstance(self.status, Status) else self.status
        same = {name: getattr(self, name) for name in PlanFilter.model_fields if name != "status"}
        return narrowed(status=statuses, **same)


class NewPlan(Incoming):
    """An action over what a filter matches, or over mappings by their ids.

    Without a target, each is approved as its own proposal says, else as its suggestion says.
    """

    filter: PlanFilter | None = None
    ids: list[Annotated[int, Field(ge=1, lt=2**63)]] | None = Field(
        default=None, min_length=1, max_length=MOST_IDS
    )
    action: Literal[Action.APPROVE, Action.CORRECT, Action.REJECT, Action.REOPEN]
    target: Word | None = None
    reason: Word = ""

    @model_validator(mode="after")
    def _filter_or_ids(self) -> Self:
        if (self.filter is None) == (self.ids is None):
            raise ValueError("send either `filter` or `ids`")
        return self

    def wanted(self) -> Filter | tuple[int, ...]:
        return self.filter.record() if self.filter is not None else tuple(self.ids or ())


class PlanHash(Incoming):
    """The hash of the preview that its reader agrees to."""

    hash: Word


class BlockedOut(BaseModel):
    """Mappings that match and cannot be changed."""

    reason: str
    mappings: int


class StatusChange(BaseModel):
    """How many mappings go from one status to another, and how many submissions they stand for."""

    before: Status
    after: Status
    mappings: int
    rows: int


class TargetChange(BaseModel):
    """How many live mappings a target gains and loses."""

    target: str
    gains: int
    loses: int


class Consequences(BaseModel):
    """What a plan comes to; `targets` are those with the most changes of `targets_in_all`.

    `displaced` live mappings give way to another one of their text; `conflicts` are mappings whose
    submissions disagree; `waiting_elsewhere` are mappings of the same texts that go on waiting.
    """

    statuses: list[StatusChange]
    rows: int
    displaced: int
    displaced_with_another_target: int
    targets: list[TargetChange]
    targets_in_all: int
    conflicts: int
    overruled_proposals: int
    overruled_suggestions: int
    waiting_elsewhere: int


class Sampled(BaseModel):
    """One of the mappings that a plan changes, as the preview found it."""

    id: int
    text: str
    rows: int
    status: Status
    target: str | None
    new_status: Status
    new_target: str | None
    proposed_target: str | None
    suggested_target: str | None
    probability: float | None
    conflict: bool
    displaced_id: int | None


class Run(BaseModel):
    """How applying or undoing came along: `left` mappings were left alone, because somebody
    changed them in between. GET .../left lists them."""

    by: str | None
    done: int
    changed: int
    left: int
    began_at: datetime
    ended_at: datetime | None
    seconds: float
    per_second: float


class PlanOut(BaseModel):
    """A plan and how far it came. `progress` counts what the present run has gone through."""

    id: int
    action: Action
    target: str | None
    reason: str
    wanted: dict[str, Any]
    status: PlanStatus
    count: int
    hash: str
    progress: int
    applied: Run | None
    undone: Run | None
    error: str
    previewed_by: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, stored: plans.Plan, **more: Any) -> Self:
        other = ("hash", "applied", "undone", "previewed_by")
        same = {n: getattr(stored, n) for n in PlanOut.model_fields if n not in other}
        return cls(
            **same,
            hash=stored.digest,
            applied=_applied(stored),
            undone=_undone(stored),
            previewed_by=stored.actor,
            **more,
        )


class PlanPreview(PlanOut):
    """A plan with all that its preview told."""

    blocked: list[BlockedOut]
    consequences: Consequences
    sample: list[Sampled]


class LeftOut(BaseModel):
    """A mapping that a plan left alone, and why."""

    model_config = ConfigDict(from_attributes=True)

    mapping_id: int
    text: str
    status: Status
    reason: str


def _applied(stored: plans.Plan) -> Run | None:
    if stored.apply_began_at is None:
        return None
    done = stored.decided + stored.changed_since
    times = (stored.apply_began_at, stored.apply_ended_at)
    return _run(stored, stored.applied_by, done, stored.decided, times)


def _undone(stored: plans.Plan) -> Run | None:
    if stored.undo_began_at is None:
        return None
    times = (stored.undo_began_at, stored.undo_ended_at)
    return _run(stored, stored.undone_by, stored.progress, stored.undone, times)


def _run(
    stored: plans.Plan,
    by: str | None,
    done: int,
    changed: int,
    times: tuple[datetime, datetime | None],
) -> Run:
    began, ended = times
    seconds = ((ended or stored.updated_at) - began).total_seconds()
    return Run(
        by=by,
        done=done,
        changed=changed,
        left=stored.kept if began == stored.undo_began_at else stored.changed_since,
        began_at=began,
        ended_at=ended,
        seconds=seconds,
        per_second=done / seconds if seconds else 0.0,
    )
