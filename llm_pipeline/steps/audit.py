"""Audit: a person says what a text means without seeing what the system says."""

from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.automation import AuditKind
from llm_pipeline.domain.automation_events import AuditAnswered
from llm_pipeline.domain.records import LIVE, Action, Status
from llm_pipeline.errors import Conflict, NotAllowed
from llm_pipeline.store import audits, breaker, catalogue, holding, log, watching
from llm_pipeline.store.audits import Answer, Drawn
from llm_pipeline.store.engine import Session


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an audit: `right` is whether the system's answer was, None if it had none;
    `action` is the decision that makes the mapping mean what was said, None if nothing does."""

    mapping_id: int
    version: int
    right: bool | None
    action: Action | None


def audit(
    session: Session, audit_id: int, target: str | None, auditor: str, at: datetime
) -> Answered:
    """Answer an audit; `target` None says that no entry of the catalogue is meant.

    What is held and what the lot drew of the same repeats are answered by one look. Whoever calls
    it carries the decision out. Raises NotFound, Conflict for an audit that is answered, NotAllowed
    for whoever decided about a text that the lot drew, and UnknownTarget.
    """
    drawn = audits.get(session, audit_id)
    if drawn.answered_at is not None:
        raise Conflict(f"audit {audit_id} was answered at {drawn.answered_at:%Y-%m-%d %H:%M} UTC")
    allowed = audits.may_audit(session, drawn.mapping_id, auditor)
    if not allowed and drawn.kind is not AuditKind.HELD:
        raise NotAllowed(
            f"{auditor} decided about mapping {drawn.mapping_id}: somebody else has to audit it"
        )
    target_id = None if target is None else catalogue.active_target(session, target)
    answered = [drawn, *(holding.beside(session, drawn) if allowed else ())]
    for one in answered:
        right = _right(one, target_id)
        said = Answer(target_id, right, auditor)
        audits.record(session, one, said, at, log.next_offset(session))
        event = AuditAnswered(auditor, one.id, one.mapping_id, target, right, one.policy_id)
        log.append(session, at, event)
    watching.look(session, auditor, at)
    breaker.look(session, auditor, at)
    held = any(one.kind is AuditKind.HELD for one in answered)
    action = _action(drawn, target_id, held=held)
    return Answered(drawn.mapping_id, drawn.version, _right(drawn, target_id), action)


def _right(drawn: Drawn, target_id: int | None) -> bool | None:
    answer = drawn.answer_target_id
    return None if answer is None else answer == target_id


def _action(drawn: Drawn, target_id: int | None, *, held: bool) -> Action | None:
    """What makes of the mapping what was said. What a policy had approved and a person confirms is
    that person's from now on: it teaches. So does a repeat that was held: memory grows surer."""
    if drawn.status is Status.PENDING:
        return Action.REJECT if target_id is None else Action.APPROVE
    if drawn.status not in LIVE:
        return Action.REOPEN if drawn.status is Status.REJECTED and target_id else None
    if target_id is None:
        return Action.REJECT
    confirmed = drawn.target_id == target_id and drawn.status is Status.APPROVED
    return None if confirmed and not held else Action.CORRECT
