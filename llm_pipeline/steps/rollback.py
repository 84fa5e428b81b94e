"""Roll back: the model that answered before answers again."""

from datetime import datetime

from llm_pipeline.domain.learning_events import ModelPromoted
from llm_pipeline.errors import NotFound
from llm_pipeline.registry import Registry
from llm_pipeline.store import log, models
from llm_pipeline.store.engine import Session
from llm_pipeline.store.models import StoredModel


def previous(session: Session) -> tuple[StoredModel, StoredModel]:
    """Return the champion and the model that answered before it. Raises NotFound without one."""
    champion = models.champion(session)
    if champion is None:
        raise NotFound("there is no champion yet: nothing can be rolled back")
    before = models.before(session, champion)
    if before is None:
        raise NotFound(
            f"model {champion.version} is the first that answers: there is none to roll back to"
        )
    return champion, before


def rollback(
    session: Session, registry: Registry, reason: str, actor: str, at: datetime
) -> StoredModel:
    """Let the model before the champion answer, in the store and in MLflow; return the one that
    had to go. Whoever calls it has seen that the other can be loaded."""
    champion, before = previous(session)
    told = f"rolled back from model {champion.version}: {reason or 'by hand'}"
    models.promote(session, before.version, told, at)
    # It is no former champion that a later rollback returns to.
    models.refuse(session, champion.version, told)
    event = ModelPromoted(actor, before.version, champion.version, before.as_of, told)
    log.append(session, at, event)
    # Last, so that a failure here rolls the store back and nothing has changed.
    registry.promote(before.version, told)
    return champion
