"""Promote: the challenger becomes champion if it beats it on the same held-out texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import pandas as pd

from llm_pipeline.domain.learning_events import ModelPromoted, ModelRefused, ModelShadowing
from llm_pipeline.domain.policy import PairedAnswers, Verdict, beats
from llm_pipeline.errors import Conflict, ModelOutdated, NotFound
from llm_pipeline.model.evaluation import evaluate, paired, paired_by_target, paired_recent
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
    verdict = beats(
        found.unseen,
        before.unseen,
        paired(found, before),
        paired_recent(found, before),
        paired_by_target(found, before),
    )
    return Comparison(challenger, champion, verdict)


def settle(
    session: Session,
    registry: Registry,
    compared: Comparison,
    actor: str,
    at: datetime,
    *,
    shadow: int = 0,
) -> bool:
    """Promote or refuse the challenger as the comparison says; return whether it was promoted.

    With `shadow`, one that is better stays challenger: it has to answer so many live texts beside
    the champion first.
    """
    version, verdict = compared.challenger.version, compared.verdict
    if verdict.comparison:
        registry.log_comparison(compared.challenger.run_id, verdict.comparison)
    if verdict.promote and shadow and compared.champion is not None:
        champion = compared.champion.version
        log.append(session, at, ModelShadowing(actor, version, champion, shadow, verdict.reason))
        return False
    if verdict.promote:
        numbers = verdict.comparison
        promote(session, registry, version, verdict.reason, actor, at, comparison=numbers)
        return True
    models.refuse(session, version, verdict.reason)
    champion = compared.champion.version if compared.champion else ""
    refused = ModelRefused(actor, version, champion, verdict.reason, verdict.comparison)
    log.append(session, at, refused)
    registry.refuse(version, verdict.reason)
    return False


def judged(
    session: Session, registry: Registry, version: str, verdict: Verdict, actor: str, at: datetime
) -> bool:
    """Promote or refuse a challenger by what it answered beside the champion; False too if it is no
    challenger any more."""
    challenger = models.challenger(session)
    if challenger is None or challenger.version != version:
        return False
    compared = Comparison(challenger, models.champion(session), verdict)
    return settle(session, registry, compared, actor, at)


def promote(
    session: Session,
    registry: Registry,
    version: str,
    reason: str,
    actor: str,
    at: datetime,
    *,
    comparison: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Make a version the champion, in the store and in MLflow, with the numbers of the comparison
    if there was one. Raises NotFound."""
    model = models.get(session, version)
    champion = models.champion(session)
    if champion is not None and champion.version == version:
        return
    if model.status == "forgotten":
        raise Conflict(f"model {version} was refused long ago, and its files are deleted")
    models.promote(session, version, reason, at)
    replaced = champion.version if champion else None
    told = (version, replaced, model.as_of, reason, dict(comparison))
    log.append(session, at, ModelPromoted(actor, *told))
    # Last, so that a failure here rolls the store back and nothing has changed.
    registry.promote(version, reason)
