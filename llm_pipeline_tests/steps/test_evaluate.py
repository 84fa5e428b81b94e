"""Training compares its variants, and the newest model is evaluated over the whole stream."""

from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient

from llm_pipeline.errors import NotFound
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.steps.check import check
from llm_pipeline.steps.evaluate import evaluate_model
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.train import Reason, train
from llm_pipeline.store import log, models, quality
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import TARGETS, labelled, load_catalogue, merge

ROWS: list[tuple[str, str | None]] = list(labelled(3))


@pytest.fixture
def load(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recognizer]:
    cache = tmp_path_factory.mktemp("models")
    return lambda version: bundle.load(registry.bundle(version, cache))


def _train(database: Database, registry: Registry, clock: Clock) -> models.StoredModel:
    load_catalogue(database, clock)
    # Every text twice: half of the stream repeats, letter by letter.
    merge(database, clock, [*ROWS, *ROWS], trusted=True)
    with database.begin() as session:
        prepare(session, "ann", clock())
    assert check(database, "training_set", "ann", clock).success
    return train(database, registry, Reason("tests", "ann", "abc"), clock)


def _run(registry: Registry, run_id: str) -> Any:
    return MlflowClient(registry.tracking_uri).get_run(run_id)


def test_every_variant_is_a_nested_run_of_its_training(
    database: Database,
    registry: Registry,
    load: Callable[[str], Recognizer],
    clock: Clock,
) -> None:
    model = _train(database, registry, clock)
    parent = _run(registry, model.run_id)
    found = MlflowClient(registry.tracking_uri).search_runs(
        [parent.info.experiment_id], f"tags.mlflow.parentRunId = '{model.run_id}'"
    )
    nested = {run.info.run_name: run.data for run in found}
    recognizer = load(model.version)
    assert set(nested) == set(recognizer.variants())
    serving = nested[parent.data.tags["serves"]]
    assert serving.metrics.items() <= parent.data.metrics.items()
    assert serving.metrics["unseen_rows"] > 0
    for data in nested.values():
        assert data.metrics.keys() == serving.metrics.keys()
        assert data.params.keys() == {str(name) for name in recognizer.get_params()}


def test_the_newest_model_is_evaluated_over_the_stream(
    database: Database,
    registry: Registry,
    load: Callable[[str], Recognizer],
    clock: Clock,
) -> None:
    model = _train(database, registry, clock)
    report = evaluate_model(database, registry, load, "ann", clock)

    run = _run(registry, model.run_id)
    measured = report.content["metrics"]
    assert measured.items() <= run.data.metrics.items()
    assert run.data.metrics["unseen_accuracy"] == model.metrics["unseen_accuracy"]
    assert (measured["progressive_rows"], measured["progressive_seen_rows"]) == (90, 45)
    assert measured["progressive_seen_accuracy"] == 1.0
    client = MlflowClient(registry.tracking_uri)
    assert [file.path for file in client.list_artifacts(model.run_id, "evaluation")] == [
        f"evaluation/{name}"
        for name in (
            "accuracy_over_time.png", "confusions.json", "held_out_targets.json", "reliability.png",
            "risk_coverage.png", "slices.json", "surest_wrong.json", "targets.json",
        )
    ]  # fmt: skip


def test_an_evaluation_is_a_report_of_the_store_and_says_the_same_again(
    database: Database,
    registry: Registry,
    load: Callable[[str], Recognizer],
    clock: Clock,
) -> None:
    model = _train(database, registry, clock)
    first = evaluate_model(database, registry, load, "ann", clock)
    again = evaluate_model(database, registry, load, "ann", clock)

    with database.read() as session:
        kept = quality.latest_report(session, "evaluation")
        newest = log.read_since(session, 0)[-1]
    assert kept == again
    assert (again.verdict, again.content) == (first.verdict, first.content)
    assert (kept.as_of, kept.content["model_version"]) == (model.as_of, model.version)
    assert (newest.name, newest.payload["kind"]) == ("report:written", "evaluation")
    of_category = [line for line in kept.content["slices"] if line["dimension"] == "category"]
    assert {line["slice"] for line in of_category} == {target.category for target in TARGETS}
    assert sum(line["support"] for line in kept.content["targets"]) == 90
    assert kept.verdict.startswith(f"model {model.version}: ")


def test_there_must_be_a_model(
    database: Database, registry: Registry, load: Callable[[str], Recognizer], clock: Clock
) -> None:
    with pytest.raises(NotFound, match="no model to evaluate"):
        evaluate_model(database, registry, load, "ann", clock)
