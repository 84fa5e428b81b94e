"""Apply a plan, and take it back: chunk by chunk, each a transaction with its progress.

What breaks off goes on behind the last chunk: nothing is lost, nothing is decided twice.
"""

import time
from collections.abc import Callable
from datetime import datetime

from llm_pipeline.domain.events import Event, MappingsDecided, PlanApplied, PlanStopped, PlanUndone
from llm_pipeline.domain.plans import PlanStatus
from llm_pipeline.domain.records import Action
from llm_pipeline.errors import Conflict
from llm_pipeline.store import log, plan_chunks, plans
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.plans import Plan
from llm_pipeline.store.settling import Act

# A person's decision waits for one chunk at most, and has its turn between two.
CHUNK = 2_500
PAUSE_SECONDS = 0.005

_APPLICABLE = (PlanStatus.PREVIEWED,)
_UNDOABLE = (PlanStatus.APPLIED, PlanStatus.CANCELLED, PlanStatus.FAILED)


def begin_apply(session: Session, plan_id: int, digest: str, actor: str, at: datetime) -> Plan:
    """Let a plan be applied: `digest` is that of the preview its reader agreed to.

    Raises NotFound, and Conflict for another digest or a plan that is not waiting to be applied.
    """
    plan = plans.get(session, plan_id)
    if plan.digest != digest:
        raise Conflict(
            f"plan {plan_id} has another hash than {digest[:80]!r}: read the plan again, "
            "and send its hash if you agree to it"
        )
    failed = plan.status is PlanStatus.FAILED and plan.undo_began_at is None
    if plan.status not in _APPLICABLE and not failed:
        raise Conflict(f"plan {plan_id} is {plan.status.value} and cannot be applied")
    began = plan.apply_began_at or at
    status = PlanStatus.APPLYING.value
    plans.change(
        session, plan_id, at, status=status, applied_by=actor, apply_began_at=began, error=""
    )
    return plans.get(session, plan_id)


def begin_undo(session: Session, plan_id: int, actor: str, at: datetime) -> Plan:
    """Let a plan be taken back, as far as it was applied.

    Raises NotFound, and Conflict for a plan that is not applied, or still is being applied.
    """
    plan = plans.get(session, plan_id)
    if plan.status not in _UNDOABLE:
        raise Conflict(f"plan {plan_id} is {plan.status.value}: there is nothing to undo")
    if plan.undo_began_at is None:
        plans.change(session, plan_id, at, cursor=0, progress=0, undo_began_at=at)
    status = PlanStatus.UNDOING.value
    plans.change(session, plan_id, at, status=status, undone_by=actor, error="")
    return plans.get(session, plan_id)


def cancel(session: Session, plan_id: int, actor: str, at: datetime) -> Plan:
    """Stop a plan after its current chunk; what was decided stays, and can be undone."""
    plan = plans.get(session, plan_id)
    if plan.status is not PlanStatus.APPLYING:
        raise Conflict(f"plan {plan_id} is {plan.status.value}; only one being applied can stop")
    status = PlanStatus.CANCELLED.value
    plans.change(session, plan_id, at, status=status, apply_ended_at=at)
    log.append(session, at, PlanStopped(actor, plan_id, plan.progress, plan.count, ""))
    return plans.get(session, plan_id)


def fail(session: Session, plan_id: int, error: str, at: datetime) -> None:
    """Record why a plan stopped; it can be applied again, which goes on, or undone."""
    plan = plans.get(session, plan_id)
    plans.change(session, plan_id, at, status=PlanStatus.FAILED.value, error=error)
    stopped = PlanStopped(_actor(plan), plan_id, plan.progress, plan.count, error)
    log.append(session, at, stopped)


def run(
    database: Database,
    plan_id: int,
    clock: Callable[[], datetime],
    stopping: Callable[[], bool] = lambda: False,
    pause: float = PAUSE_SECONDS,
) -> None:
    """Carry a plan that is being applied or undone to its end, or until it is stopped."""
    goes_on = True
    while goes_on and not stopping():
        with database.begin() as session:
            goes_on = _next_chunk(session, plans.get(session, plan_id), clock())
        time.sleep(pause)


def _next_chunk(session: Session, plan: Plan, at: datetime) -> bool:
    """Settle the next items; whether there may be more."""
    if plan.status not in (PlanStatus.APPLYING, PlanStatus.UNDOING):
        return False
    span = plan_chunks.following(session, plan, CHUNK)
    if span is None:
        _end(session, plan, at)
        return False
    undoing = plan.status is PlanStatus.UNDOING
    action = Action.UNDO if undoing else plan.action
    act = Act(action, _actor(plan), plan.reason, at, log.next_offset(session), plan.id)
    done = (plan_chunks.undo if undoing else plan_chunks.apply)(session, span, act)
    progress = plan.progress + span.number
    plans.change(
        session,
        plan.id,
        at,
        cursor=span.upto,
        progress=progress,
        **_counts(plan, done.decided, done.left),
    )
    told = (done.decided, done.displaced, done.left, progress, plan.count)
    log.append(session, at, MappingsDecided(act.actor, plan.id, action.value, *told))
    return True


def _counts(plan: Plan, decided: int, left: int) -> dict[str, int]:
    if plan.status is PlanStatus.UNDOING:
        return {"undone": plan.undone + decided, "kept": plan.kept + left}
    return {"decided": plan.decided + decided, "changed_since": plan.changed_since + left}


def _end(session: Session, plan: Plan, at: datetime) -> None:
    event: Event
    if plan.status is PlanStatus.UNDOING:
        status, ended = PlanStatus.UNDONE, "undo_ended_at"
        event = PlanUndone(_actor(plan), plan.id, plan.undone, plan.kept)
    else:
        status, ended = PlanStatus.APPLIED, "apply_ended_at"
        event = PlanApplied(_actor(plan), plan.id, plan.decided, plan.changed_since)
    plans.change(session, plan.id, at, status=status.value, **{ended: at})
    log.append(session, at, event)


def _actor(plan: Plan) -> str:
    undoing = plan.undo_began_at is not None
    return (plan.undone_by if undoing else plan.applied_by) or plan.actor
