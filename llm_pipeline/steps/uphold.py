"""Uphold: a person says that a doubted label is right."""

from datetime import datetime

from llm_pipeline.domain.learning_events import LabelUpheld
from llm_pipeline.store import label_errors, log
from llm_pipeline.store.engine import Session


def uphold(session: Session, mapping_id: int, actor: str, at: datetime) -> None:
    """Dismiss a doubt; it comes back only when the label changes.

    Raises NotFound if there is no such doubt, and Conflict if it is over already.
    """
    target = label_errors.dismiss(session, mapping_id, actor, at)
    log.append(session, at, LabelUpheld(actor, mapping_id, target))
