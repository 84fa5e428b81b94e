"""Promote: the challenger becomes champion if it beats it on the same held-out texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from llm_pipeline.domain.learning_events import ModelPromoted, ModelRefused
from llm_pipeline.domain.policy import PairedAnswers, Verdict, beats
from llm_pipeline.errors import ModelOutdated, NotFound
from llm_pipeline.model.evaluation import evaluate, paired
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.store import log, models, training
from llm_pipeline.store.engine import Database, Session

# A comparison replays no memory: both models share the store's.
_NO_HISTORY = pd.DataFrame(columns=["normalized", "key", "target"])


@dataclass(frozen=True, slots=True)
class Comparison:
    """Champion and challenger on the same texts, and what follows from it."""

    challenger: models.StoredModel
    champion: models.StoredModel | None
    verdict: Verdict


def compare(
    database: Database, load: Callable[[str], Recognizer], *, extra: Sequence[str] = ()
) -> Comparison:
    """Test both models on the held-out texts of the challenger's training set, memory off.

    `extra` names the columns beside the text that they are shown.

    The held-out tenth of grouping keys never taught any model's weights, so the comparison is as
    fair to an old champion as to a new challenger. Raises NotFound if there is no challenger.
    """
    with database.read() as session:
        challenger = models.challenger(session)
        if challenger is None:
            raise NotFound("there is no challenger; train one first")
        champion = models.champion(session)
        texts = training.live_texts(session, challenger.as_of, extra=extra)
    found = evaluate(load(challenger.version), texts, _NO_HISTORY)
    if champion is None:
        verdict = beats(found.unseen, None, PairedAnswers(0, 0))
        return Comparison(challenger, None, verdict)
    try:
        answering = load(champion.version)
    except ModelOutdated as error:
        # This version cannot answer by it, nor compare with it: any model is better.
        verdict = Verdict(True, f"the champion {champion.version} cannot be read: {error}")
        return Comparison(challenger, champion, verdict)
    before = evaluate(answering, texts, _NO_HISTORY)
    return Comparison(
        challenger, champion, beats(found.unseen, before.unseen, paired(found, before))
    )


def settle(
    session: Session, registry: Registry, compared: Comparison, actor: str, at: datetime
) -> bool:
    """Promote or refuse the challenger as the comparison says; return whether it was promoted."""
    version = compared.challenger.version
    if compared.verdict.promote:
        promote(session, registry, version, compared.verdict.reason, actor, at)
        return True
    models.refuse(session, version, compared.verdict.reason)
    champion = compared.champion.version if compared.champion else ""
    log.append(session, at, ModelRefused(actor, version, champion, compared.verdict.reason))
    registry.refuse(version, compared.verdict.reason)
    return False


def promote(
    session: Session, registry: Registry, version: str, reason: str, actor: str, at: datetime
) -> None:
    """Make a version the champion, in the store and in MLflow. Raises NotFound."""
    model = models.get(session, version)
    champion = models.champion(session)
    if champion is not None and champion.version == version:
        return
    models.promote(session, version, reason, at)
    replaced = champion.version if champion else None
    log.append(session, at, ModelPromoted(actor, version, replaced, model.as_of, reason))
    # Last, so that a failure here rolls the store back and nothing has changed.
    registry.promote(version, reason)
