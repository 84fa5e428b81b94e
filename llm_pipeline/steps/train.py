"""Train: the gated training set becomes a challenger, evaluated and registered.

Its variants, the ways of answering it could choose from, are evaluated on the same texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pandas as pd

from llm_pipeline.domain.learning_events import ModelTrained
from llm_pipeline.domain.records import Target
from llm_pipeline.model import bundle, plots
from llm_pipeline.model.evaluation import Evaluation, evaluate_each, taught
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import RegisteredModel, Registry
from llm_pipeline.runs import TrainingRecord, VariantRecord
from llm_pipeline.store import catalogue, log, models, quality, training
from llm_pipeline.store.engine import Database, Session

EXAMPLES = 5
SERVES = "serves"  # the tag that names the variant that answers


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
    catalogue: list[Target]
    extra: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Trial:
    """A trained recogniser, and what each of its variants came to on the held-out texts."""

    recognizer: Recognizer
    variants: dict[str, Recognizer]
    serves: str
    seconds: float
    found: dict[str, Evaluation]

    def metrics(self) -> dict[str, float]:
        test = self.recognizer.extra_test_
        tested = {} if test is None else test.as_metrics()
        return _metrics(self.found[self.serves]) | {"training_seconds": self.seconds} | tested

    def tried(self) -> list[VariantRecord]:
        return [
            VariantRecord(name, _params(variant), _metrics(self.found[name]))
            for name, variant in self.variants.items()
        ]


def train(
    database: Database,
    registry: Registry,
    why: Reason,
    clock: Callable[[], datetime],
    *,
    extra: Sequence[str] = (),
) -> models.StoredModel:
    """Train on the newest training set and register the result as challenger.

    Held-out grouping keys teach memory but not the weights, so the model that is evaluated is the
    very one that will serve. No transaction is open while it learns. `extra` names the columns
    beside the text that it may use where they help. Raises NothingToLearn without a training set,
    and GateFailed if its gate has not passed.
    """
    with database.read() as session:
        material = _material(session, extra)
    trial = _learn(material)
    registered = _register(registry, material, why, trial)
    trained = models.StoredModel(
        version=registered.version,
        run_id=registered.run_id,
        as_of=material.built.as_of,
        status="challenger",
        metrics=trial.metrics(),
        reason=why.reason,
        trained_at=clock(),
        promoted_at=None,
    )
    with database.begin() as session:
        models.add_challenger(session, trained)
        accuracy = trained.metrics["accuracy"]
        event = ModelTrained(why.actor, trained.version, trained.run_id, trained.as_of, accuracy)
        log.append(session, trained.trained_at, event)
    return trained


def _material(session: Session, extra: Sequence[str]) -> _Material:
    built = quality.demand_training_set(session)
    return _Material(
        built,
        training.live_texts(session, built.as_of, extra=extra),
        training.labelled_rows(session, built.as_of),
        catalogue.active_targets(session),
        tuple(extra),
    )


def _learn(material: _Material) -> _Trial:
    started = perf_counter()
    recognizer = taught(Recognizer(), material.texts, material.history, material.catalogue)
    seconds = perf_counter() - started
    variants = {str(name): variant for name, variant in recognizer.variants().items()}
    found = evaluate_each(variants, material.texts, material.history)
    return _Trial(recognizer, variants, recognizer.serves_, seconds, found)


def _params(recognizer: Recognizer) -> dict[str, Any]:
    """Return the parameters, with the inverse regularisation that was chosen."""
    return {**recognizer.get_params(), "C": recognizer.linear_.C_}


def _register(
    registry: Registry, material: _Material, why: Reason, trial: _Trial
) -> RegisteredModel:
    built = material.built
    with TemporaryDirectory() as folder:
        bundle.save(trial.recognizer, Path(folder, "bundle"))
        record = TrainingRecord(
            params=_params(trial.recognizer) | _sizes(built) | _columns(material, trial),
            metrics=trial.metrics(),
            tags=_tags(built, why) | {SERVES: trial.serves},
            plots=plots.draw(trial.found[trial.serves], Path(folder, "plots")),
            bundle=Path(folder, "bundle"),
            dataset_name=f"training_set at offset {built.as_of}",
            dataset_digest=built.digest,
            examples=material.texts["text"].head(EXAMPLES).tolist(),
            variants=trial.tried(),
        )
        return registry.log_training(record)


def _metrics(found: Evaluation) -> dict[str, float]:
    return {
        "accuracy": found.accuracy,
        "seen_share": found.seen_share,
        "seen_accuracy": found.seen_accuracy,
        **found.unseen.as_metrics("unseen_"),
    }


def _sizes(built: training.TrainingSet) -> dict[str, int]:
    return {"texts": built.texts, "rows": built.rows, "targets": built.targets}


def _columns(material: _Material, trial: _Trial) -> dict[str, str | bool]:
    if not material.extra:
        return {}
    used = trial.recognizer.extra_used_
    return {"extra_columns": ",".join(material.extra), "extra_used": used}


def _tags(built: training.TrainingSet, why: Reason) -> dict[str, str]:
    return {
        "as_of": str(built.as_of),
        "git_commit": why.git_commit,
        "reason": why.reason,
        "actor": why.actor,
    }
