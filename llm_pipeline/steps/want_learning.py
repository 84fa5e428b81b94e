"""Want learning: what asks for a training, and what tells when one did not happen."""

from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.triggers import ASKED, LONGEST_WAIT, MISSING_AFTER, QUIET, Trigger, bucket
from llm_pipeline.errors import Conflict
from llm_pipeline.store import alerts, breaker, feedback, log, models, training, wishes
from llm_pipeline.store.engine import Session

MISSING = "learning_missing"


@dataclass(frozen=True, slots=True)
class Enough:
    """How many newly approved texts, or answers called wrong, are enough for a training."""

    decisions: int
    feedback: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A training that is to begin: for the wishes up to `upto`, for these reasons."""

    upto: int
    reason: str


def look(session: Session, enough: Enough, actor: str, at: datetime) -> None:
    """Ask for a training for every reason there is, once for each version of the data."""
    as_of = models.trained_up_to(session)
    learned = training.learned_since(session, as_of)
    if learned.texts >= enough.decisions:
        version = bucket(as_of, learned.texts, enough.decisions)
        reason = f"{learned.texts} texts approved up to offset {learned.newest}"
        wishes.want(session, Trigger.DECISIONS, version, reason, actor, at)
    wrong = feedback.wrong_since(session, as_of)
    if wrong >= enough.feedback:
        version = bucket(as_of, wrong, enough.feedback)
        reason = f"{wrong} answers called wrong since the last training"
        wishes.want(session, Trigger.FEEDBACK, version, reason, actor, at)
    for alert in alerts.open_alerts(session):
        if alert.rule == Cause.DRIFT:
            wishes.want(session, Trigger.DRIFT, f"alert {alert.id}", alert.message, actor, at)
    for stop in breaker.open_stops(session):
        if stop.cause is Cause.AUDITS:
            version = f"stop {stop.id}"
            wishes.want(session, Trigger.PERFORMANCE, version, stop.reason, actor, at)
    _look_for_missing(session, actor, at)


def due(session: Session, at: datetime) -> Wanted | None:
    """Return the training that is to begin now, None if none is, or more reasons may come."""
    waiting = wishes.waiting(session)
    if any(one.asked_at is not None and at - one.asked_at < ASKED for one in waiting):
        return None
    if not waiting:
        return None
    quiet = at - max(one.wanted_at for one in waiting) >= QUIET
    long = at - min(one.wanted_at for one in waiting) >= LONGEST_WAIT
    if not quiet and not long:
        return None
    return Wanted(waiting[-1].id, "; ".join(one.reason for one in waiting))


def ask(session: Session, reason: str, actor: str, at: datetime) -> int:
    """Ask for a training as a person; return the wish. Raises Conflict while one is under way."""
    for one in (*wishes.under_way(session), *wishes.waiting(session)):
        if one.started_at is not None or one.kind is Trigger.PERSON:
            run = f" (run {one.run_id})" if one.run_id else ""
            raise Conflict(
                f"a training is under way{run}, wanted by {one.actor} at "
                f"{one.wanted_at:%Y-%m-%d %H:%M:%S} UTC: {one.reason}; ask again when it has ended"
            )
    version = f"offset {log.latest(session) + 1}"
    told = reason or f"{actor} asked for it"
    return wishes.want(session, Trigger.PERSON, version, told, actor, at) or 0


def _look_for_missing(session: Session, actor: str, at: datetime) -> None:
    late = wishes.wanted_before(session, at - MISSING_AFTER)
    if not late:
        alerts.settle(session, MISSING, "learning", actor, at)
        return
    minutes = MISSING_AFTER.total_seconds() / 60
    message = (
        f"a training is wanted since {late[0].wanted_at:%Y-%m-%d %H:%M} UTC and has not ended "
        f"after {minutes:.0f} minutes: {late[0].reason}. Is the Dagster daemon running?"
    )
    alerts.tell(session, alerts.Finding(MISSING, "learning", "critical", message), actor, at)
