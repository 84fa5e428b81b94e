"""What a plan does to a mapping, and in which order its life goes. Pure rules."""

from enum import StrEnum

from llm_pipeline.domain.records import LIVE, Action, Status


class PlanStatus(StrEnum):
    """Where a plan stands. `freezing` is one whose items are still being written down."""

    FREEZING = "freezing"
    PREVIEWED = "previewed"
    APPLYING = "applying"
    APPLIED = "applied"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"


UNDER_WAY = (PlanStatus.APPLYING, PlanStatus.UNDOING)

# What an action needs a mapping to be, and what it makes of it.
NEEDS: dict[Action, tuple[Status, ...]] = {
    Action.APPROVE: (Status.PENDING,),
    Action.CORRECT: (Status.PENDING, *LIVE),
    Action.REJECT: (Status.PENDING, *LIVE),
    Action.REOPEN: (Status.REJECTED, *LIVE),
}
MAKES: dict[Action, Status] = {
    Action.APPROVE: Status.APPROVED,
    Action.CORRECT: Status.APPROVED,
    Action.REJECT: Status.REJECTED,
    Action.REOPEN: Status.PENDING,
}


class Blocked(StrEnum):
    """Why a mapping that matches cannot be changed, or was left alone; the value says it."""

    STATUS = "its status does not fit the action"
    NO_TARGET = "it has neither a proposed nor a suggested target"
    RETIRED_TARGET = "its target is retired"
    ALREADY = "it means this target already"
    GIVES_WAY = "it gives way to a waiting mapping of its text in the same plan"
    ANOTHER_WAITS = "another mapping of its text waits"
    CHANGED = "it was changed since the preview"
    LIVE_CHANGED = "another mapping of its text became live, or ceased to be, since the preview"
    UNDONE = "its decision was undone already"
    DECIDED = "somebody decided about it since"
    SUPERSEDED = "a newer label of its text is live"
