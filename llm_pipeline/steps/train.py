"""Train: the gated training set becomes a challenger, evaluated and registered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import pandas as pd

from llm_pipeline.domain.events import ModelTrained
from llm_pipeline.errors import NothingToLearn
from llm_pipeline.model import bundle, plots
from llm_pipeline.model.evaluation import Evaluation, evaluate, held_out
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry, TrainingRecord
from llm_pipeline.store import log, models, quality, training
from llm_pipeline.store.engine import Database, Session

EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a training runs, by whom, with which code."""

    reason: str
    actor: str
    git_commit: str


@dataclass(frozen=True, slots=True)
class _Material:
    """What one training learns from and is tested on."""

    built: training.TrainingSet
    texts: pd.DataFrame
    history: pd.DataFrame


def train(
    database: Database, registry: Registry, why: Reason, clock: Callable[[], datetime]
) -> models.StoredModel:
    """Train on the newest training set and register the result as challenger.

    Held-out grouping keys teach memory but not the weights, so the model that is evaluated is the
    very one that will serve. No transaction is open while it learns. Raises NothingToLearn without
    a training set, and GateFailed if its gate has not passed.
    """
    with database.read() as session:
        material = _material(session)
    started = perf_counter()
    recognizer = Recognizer().fit(
        material.texts["text"].tolist(),
        material.texts["target"].tolist(),
        teaches=~held_out(material.texts["key"]),
        history=material.history,
    )
    seconds = perf_counter() - started
    found = evaluate(recognizer, material.texts, material.history)
    metrics = _metrics(found) | {"training_seconds": seconds}
    with TemporaryDirectory() as folder:
        bundle.save(recognizer, Path(folder, "bundle"))
        drawn = plots.draw(found, Path(folder, "plots"))
        record = _record(material, why, recognizer, metrics, Path(folder, "bundle"), drawn)
        registered = registry.log_training(record)
    trained = models.StoredModel(
        version=registered.version,
        run_id=registered.run_id,
        as_of=material.built.as_of,
        status="challenger",
        metrics=metrics,
        reason=why.reason,
        trained_at=clock(),
        promoted_at=None,
    )
    with database.begin() as session:
        models.add_challenger(session, trained)
        event = ModelTrained(
            why.actor, trained.version, trained.run_id, trained.as_of, found.accuracy
        )
        log.append(session, trained.trained_at, event)
    return trained


def _material(session: Session) -> _Material:
    built = training.latest_training_set(session)
    if built is None:
        raise NothingToLearn("no training set is built yet; materialise `training_set` first")
    quality.demand(session, "training_set", built.as_of)
    return _Material(
        built,
        training.live_texts(session, built.as_of),
        training.labelled_rows(session, built.as_of),
    )


def _metrics(found: Evaluation) -> dict[str, float]:
    return {
        "accuracy": found.accuracy,
        "seen_share": found.seen_share,
        "seen_accuracy": found.seen_accuracy,
        **found.unseen.as_metrics("unseen_"),
    }


def _record(
    material: _Material,
    why: Reason,
    recognizer: Recognizer,
    metrics: dict[str, float],
    saved: Path,
    drawn: list[Path],
) -> TrainingRecord:
    built = material.built
    return TrainingRecord(
        params=recognizer.get_params()
        | {"texts": built.texts, "rows": built.rows, "targets": built.targets},
        metrics=metrics,
        tags={
            "as_of": str(built.as_of),
            "git_commit": why.git_commit,
            "reason": why.reason,
            "actor": why.actor,
        },
        plots=drawn,
        bundle=saved,
        dataset_name=f"training_set at offset {built.as_of}",
        dataset_digest=built.digest,
        examples=material.texts["text"].head(EXAMPLES).tolist(),
    )
