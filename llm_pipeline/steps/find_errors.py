"""Find errors: approved mappings whose label disagrees with what the others teach."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime

import pandas as pd

from llm_pipeline.domain.learning_events import LabelsDoubted
from llm_pipeline.domain.records import Target
from llm_pipeline.model.label_errors import Doubt, LabelErrors
from llm_pipeline.store import catalogue, label_errors, log, quality, training
from llm_pipeline.store.engine import Database, Session


@dataclass(frozen=True, slots=True)
class Found:
    """How many labels of a training set were looked at, and how many are listed as doubtful."""

    as_of: int
    texts: int
    doubted: int


@dataclass(frozen=True, slots=True)
class _Labels:
    as_of: int
    texts: pd.DataFrame
    targets: list[Target]


def find_errors(database: Database, actor: str, clock: Callable[[], datetime]) -> Found:
    """List the labels of the newest training set that are probably wrong, in place of the last
    list.

    No transaction is open while it looks. Raises NothingToLearn without a training set, and
    GateFailed if its gate has not passed.
    """
    with database.read() as session:
        labels = _labels(session)
    texts = labels.texts
    errors = LabelErrors().fit(texts["text"], texts["target"], catalogue=labels.targets)
    ids = texts["mapping_id"].tolist()
    listed = [_listed(ids[doubt.position], doubt) for doubt in errors.doubts()]
    with database.begin() as session:
        at = clock()
        doubted = label_errors.replace(session, listed, labels.as_of, at)
        log.append(session, at, LabelsDoubted(actor, labels.as_of, len(ids), doubted))
    return Found(labels.as_of, len(ids), doubted)


def _labels(session: Session) -> _Labels:
    built = quality.demand_training_set(session)
    texts = training.live_texts(session, built.as_of)
    return _Labels(built.as_of, texts, catalogue.active_targets(session))


def _listed(mapping_id: int, doubt: Doubt) -> label_errors.NewLabelError:
    return label_errors.NewLabelError(
        mapping_id=mapping_id,
        target=doubt.given,
        suggested_target=doubt.suggested,
        score=doubt.score,
        reason=doubt.reason,
        examples=[asdict(example) for example in doubt.examples],
    )
