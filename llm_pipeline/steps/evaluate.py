"""Evaluate: the stream replayed as the newest model's way of learning would have answered it.

Beside the held-out texts, which decide on promotion, this tells people where the recogniser is
weak. It holds nothing up and changes no model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from llm_pipeline.domain.records import Target
from llm_pipeline.errors import NotFound
from llm_pipeline.model import breakdown, progressive
from llm_pipeline.model.evaluation import evaluate
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.model.stream_curves import curves
from llm_pipeline.model.stream_plots import draw_stream
from llm_pipeline.registry import Registry
from llm_pipeline.store import catalogue, models, quality, training
from llm_pipeline.store.engine import Database, Session

KIND = "evaluation"
WORST = 50  # targets in the report; MLflow has all of them


@dataclass(frozen=True, slots=True)
class _Material:
    """The newest model, and the rows it was to answer."""

    model: models.StoredModel
    rows: pd.DataFrame
    texts: pd.DataFrame
    catalogue: Sequence[Target]


def evaluate_model(
    database: Database,
    registry: Registry,
    load: Callable[[str], Recognizer],
    actor: str,
    clock: Callable[[], datetime],
    *,
    extra: Sequence[str] = (),
) -> quality.Report:
    """Evaluate the newest model; write to its MLflow run, and a report to the store.

    `extra` names the columns beside the text that it may use where they help. No transaction is
    open meanwhile. The same model gives the same report. Raises NotFound.
    """
    with database.read() as session:
        material = _material(session, extra)
    trained = load(material.model.version)
    stream = progressive.answer_stream(trained, material.rows, material.catalogue)
    tables = _tables(stream, trained, material)
    metrics = progressive.metrics(stream) | {"slices_weak": float(tables["slices"]["weak"].sum())}
    with TemporaryDirectory() as folder:
        plots = draw_stream(stream, Path(folder))
        registry.log_evaluation(material.model.run_id, metrics, tables, plots)
    with database.begin() as session:
        found = tables, curves(stream)
        return _report(session, material.model, metrics, found, actor, clock())


def _material(session: Session, extra: Sequence[str]) -> _Material:
    newest = next(iter(models.history(session, 1)), None)
    if newest is None:
        raise NotFound("there is no model to evaluate; train one first")
    return _Material(
        newest,
        training.labelled_rows(session, newest.as_of, detailed=True, extra=extra),
        training.live_texts(session, newest.as_of, extra=extra),
        catalogue.active_targets(session),
    )


def _tables(
    stream: pd.DataFrame, trained: Recognizer, material: _Material
) -> dict[str, pd.DataFrame]:
    held_out = evaluate(trained, material.texts, material.rows.head(0)).answers
    return {
        "slices": breakdown.slices(stream, material.catalogue),
        "targets": breakdown.by_target(stream, material.catalogue),
        "held_out_targets": breakdown.by_target(held_out, material.catalogue),
        "confusions": breakdown.confusions(stream),
        "surest_wrong": breakdown.surest_wrong(stream),
    }


def _report(
    session: Session,
    model: models.StoredModel,
    metrics: Mapping[str, float],
    found: tuple[Mapping[str, pd.DataFrame], dict[str, Any]],
    actor: str,
    at: datetime,
) -> quality.Report:
    tables, points = found
    verdict = _verdict(model.version, metrics)
    content: dict[str, Any] = {
        "model_version": model.version,
        "run_id": model.run_id,
        "metrics": dict(metrics),
        "held_out": model.metrics,
        "curves": points,
        "slices": tables["slices"].to_dict("records"),
        "targets": tables["targets"].head(WORST).to_dict("records"),
        "confusions": tables["confusions"].head(WORST).to_dict("records"),
        "surest_wrong": tables["surest_wrong"].head(WORST).to_dict("records"),
    }
    return quality.record_report(session, KIND, model.as_of, verdict, content, actor, at)


def _verdict(version: str, metrics: Mapping[str, float]) -> str:
    right = {part: metrics[f"progressive_{part}accuracy"] for part in ("", "unseen_", "new_")}
    return (
        f"model {version}: {right['']:.3f} right over the stream, {right['unseen_']:.3f} of unseen "
        f"texts, {right['new_']:.3f} of truly new ones; ECE {metrics['progressive_ece']:.3f}; "
        f"{metrics['slices_weak']:.0f} weak slices"
    )
