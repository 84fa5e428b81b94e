"""Control automatic approval: an admin sets the bound, stops it, or lets it go on."""

from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.automation import Cause
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import breaker
from llm_pipeline.store.engine import Session


@dataclass(frozen=True, slots=True)
class Order:
    """What an admin wants: to stop, or to resume whatever has stopped it."""

    stop: bool
    resume: bool
    reason: str


def control(session: Session, order: Order, actor: str, at: datetime) -> None:
    """Stop or resume automatic approval. Raises InvalidInput without a reason, or for both.

    Audits that had stopped it are forgiven: they count in the next policy, and the watch over them
    begins anew. What still fails stops it again.
    """
    if not (order.stop or order.resume):
        return
    if order.stop and order.resume:
        raise InvalidInput("automatic approval can be stopped or resumed, not both at once")
    if not order.reason.strip():
        raise InvalidInput("say why: stopping and resuming automatic approval needs a `reason`")
    if order.stop:
        breaker.stop(session, Cause.PERSON, actor, order.reason, actor, at)
        return
    for one in breaker.open_stops(session):
        breaker.resume(session, one, order.reason, actor, at, by_person=True)
    breaker.look(session, actor, at)
