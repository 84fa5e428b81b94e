"""Review: a person decides about a mapping; each decision is added, none is changed."""

from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.center_events import (
    MappingApproved,
    MappingRejected,
    MappingReopened,
    ReviewDecided,
)
from llm_pipeline.domain.event import Event
from llm_pipeline.domain.records import LIVE, Action, Status
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.store import catalogue, decisions, log
from llm_pipeline.store.engine import Session
from llm_pipeline.store.settling import Act, Change

_MADE = {
    Action.APPROVE: Status.APPROVED,
    Action.CORRECT: Status.APPROVED,
    Action.REJECT: Status.REJECTED,
    Action.SKIP: Status.PENDING,
    Action.REOPEN: Status.PENDING,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person said: `version` is the mapping's as they saw it."""

    action: Action
    version: int
    actor: str
    target: str | None = None
    reason: str = ""


def decide(session: Session, mapping_id: int, verdict: Verdict, at: datetime) -> int:
    """Apply a decision and return its id.

    Raises NotFound, UnknownTarget, InvalidInput if the action does not fit the mapping's status,
    and Conflict if somebody changed the mapping since `verdict.version`.
    """
    before = decisions.lock(session, mapping_id)
    if before.version != verdict.version:
        last = decisions.last(session, mapping_id)
        raise Conflict(
            f"mapping {mapping_id} is at version {before.version}, not {verdict.version}, and is "
            f"{before.status.value}: {last or 'an upload or a model changed it'}; "
            "read it again and decide again"
        )
    change = _change(session, before, verdict)
    act = Act(verdict.action, verdict.actor, verdict.reason, at, log.next_offset(session))
    decision_id = decisions.record(session, change, act)
    log.append(session, at, *_events(session, before, change, verdict, decision_id))
    return decision_id


def _change(session: Session, before: decisions.Current, verdict: Verdict) -> Change:
    match verdict.action:
        case Action.APPROVE:
            _demand(before, verdict, Status.PENDING)
            return Change(before.id, Status.APPROVED, _chosen(session, before, verdict))
        case Action.CORRECT:
            _demand(before, verdict, Status.PENDING, *LIVE)
            if verdict.target is None:
                raise InvalidInput("a correction needs the target that is right")
            return Change(before.id, Status.APPROVED, _chosen(session, before, verdict))
        case Action.REJECT:
            _demand(before, verdict, Status.PENDING, *LIVE)
            return Change(before.id, Status.REJECTED, None)
        case Action.SKIP:
            _demand(before, verdict, Status.PENDING)
            return Change(before.id, Status.PENDING, None)
        case Action.REOPEN:
            _demand(before, verdict, Status.REJECTED, *LIVE)
            return Change(before.id, Status.PENDING, None)
        case Action.UNDO:  # pragma: no branch (every action is named)
            return _undone(session, before)


def _demand(before: decisions.Current, verdict: Verdict, *allowed: Status) -> None:
    if before.status not in allowed:
        raise InvalidInput(
            f"mapping {before.id} is {before.status.value}; {verdict.action.value} needs "
            f"{' or '.join(status.value for status in allowed)}. Undo the last decision first"
        )


def _chosen(session: Session, before: decisions.Current, verdict: Verdict) -> int:
    """The target named, else the one proposed, else the one suggested."""
    if verdict.target is not None:
        return catalogue.active_target(session, verdict.target)
    chosen = before.proposed_target_id or before.suggested_target_id
    if chosen is None:
        raise InvalidInput(
            f"mapping {before.id} has neither a proposed nor a suggested target: name one"
        )
    return catalogue.still_active(session, chosen)


def _undone(session: Session, before: decisions.Current) -> Change:
    last = decisions.undoable(session, before.id)
    if last is None:
        raise InvalidInput(f"mapping {before.id} has no decision that can be undone")
    if before.status is not _MADE[last.action]:
        raise InvalidInput(
            f"mapping {before.id} is {before.status.value} by a newer label of the same text, no "
            f"longer what {last.action.value} made it; decide about the text's live mapping instead"
        )
    return Change(
        before.id,
        last.previous_status,
        last.previous_target_id,
        undoes=last.id,
        revives=last.displaced_mapping_id,
    )


def _events(
    session: Session,
    before: decisions.Current,
    change: Change,
    verdict: Verdict,
    decision_id: int,
) -> list[Event]:
    key = None if change.target_id is None else decisions.target_key(session, change.target_id)
    actor = verdict.actor
    told: list[Event] = [
        ReviewDecided(actor, before.id, decision_id, verdict.action.value, key, verdict.reason)
    ]
    if verdict.action is Action.SKIP:
        return told
    if change.status in LIVE:
        told.append(MappingApproved(actor, 1, before.id, before.text, key))
    elif change.status is Status.REJECTED:
        told.append(MappingRejected(actor, before.id, before.text))
    else:
        told.append(MappingReopened(actor, before.id, before.text))
    return told
