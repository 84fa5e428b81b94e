"""Roll back: a model that answered before answers again."""

from datetime import datetime

from llm_pipeline.domain.learning_events import ModelPromoted
from llm_pipeline.errors import InvalidInput, NotFound
from llm_pipeline.registry import Registry
from llm_pipeline.store import log, models
from llm_pipeline.store.engine import Session
from llm_pipeline.store.models import StoredModel

_EARLIER = "; it answered because: "


def previous(session: Session, version: str | None = None) -> tuple[StoredModel, StoredModel]:
    """Return the champion and the model that answered before it, or a version that did at any time.
    Raises NotFound without one, InvalidInput for a version that never answered."""
    champion = models.champion(session)
    if champion is None:
        raise NotFound("there is no champion yet: nothing can be rolled back")
    if version is not None:
        return champion, _former(session, version)
    before = models.before(session, champion)
    if before is None:
        raise NotFound(
            f"model {champion.version} is the first that answers: there is none to roll back to"
        )
    return champion, before


def _former(session: Session, version: str) -> StoredModel:
    found = models.get(session, version)
    if found.promoted_at is None or found.status == "champion":
        answers = "answers now" if found.status == "champion" else "never answered"
        raise InvalidInput(
            f"model {version} {answers}: a rollback goes to one that answered before; "
            "`llm-pipeline promote` lets any version answer"
        )
    return found


def rollback(
    session: Session,
    registry: Registry,
    reason: str,
    actor: str,
    at: datetime,
    version: str | None = None,
) -> StoredModel:
    """Let the model before the champion answer, or an earlier `version`, in the store and in
    MLflow; return the one that had to go. Whoever calls it has seen that it can be loaded."""
    champion, before = previous(session, version)
    told = f"rolled back from model {champion.version}: {reason or 'by hand'}"
    models.promote(session, before.version, _with_earlier(told, before), at)
    models.withdraw(session, champion.version, _with_earlier(told, champion))
    event = ModelPromoted(actor, before.version, champion.version, before.as_of, told)
    log.append(session, at, event)
    # Last, so that a failure here rolls the store back and nothing has changed.
    registry.promote(before.version, told)
    return champion


def _with_earlier(told: str, model: StoredModel) -> str:
    """Return why a model's standing changed, with why it answered at first."""
    first = model.reason.rsplit(_EARLIER, 1)[-1]
    return f"{told}{_EARLIER}{first}" if first else told
