"""A real MLflow on a temporary SQLite file, and a real recogniser of 60 texts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.runs import TrainingRecord, VariantRecord
from llm_pipeline_tests.templates import copy_mlflow

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore:The ..noload.. loader strategy:sqlalchemy.exc.SADeprecationWarning"
    ),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
]


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    brands = {"SBUX": "STARBUCKS STORE", "AMZN": "AMZN MKTP US", "NFLX": "NETFLIX COM"}
    rows = [(f"{brand} {number}", key) for number in range(20) for key, brand in brands.items()]
    return Recognizer().fit([text for text, _ in rows], [key for _, key in rows])


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    copy_mlflow(tmp_path / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts")


@pytest.fixture
def record(tmp_path: Path, recognizer: Recognizer) -> TrainingRecord:
    bundle.save(recognizer, tmp_path / "saved")
    (tmp_path / "curve.svg").write_text("<svg/>", encoding="utf-8")
    return TrainingRecord(
        params={"rows": 60, "ngrams": "2-5", "C": 0.3, "calibrated": True},
        metrics={"accuracy": 0.9, "ece": 0.02},
        tags={"as_of": "45", "reason": "enough decisions"},
        plots=[tmp_path / "curve.svg"],
        bundle=tmp_path / "saved",
        dataset_name="approved_mappings",
        dataset_digest="9f2c",
        examples=["AMZN MKTP US 4"],
        variants=[
            VariantRecord("linear", {"C": 0.3}, {"accuracy": 0.9, "ece": 0.02}),
            VariantRecord("retrieval", {"C": 0.3}, {"accuracy": 0.8, "ece": 0.04}),
        ],
    )


@contextmanager
def _process_wide(registry: Registry) -> Iterator[None]:
    """What is read by MLflow's own functions, as a person would read it."""
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(registry.tracking_uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _run(registry: Registry, run_id: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(registry.tracking_uri).get_run(run_id)


def test_no_model_answers_before_the_first_training(registry: Registry) -> None:
    assert registry.champion() is None
    assert registry.challenger() is None
    assert registry.versions() == []


def test_a_training_becomes_a_run_and_the_challenger(
    registry: Registry, record: TrainingRecord
) -> None:
    made = registry.log_training(record)
    run = _run(registry, made.run_id)
    assert (made.version, registry.challenger(), registry.champion()) == ("1", "1", None)
    assert registry.run_of("1") == made.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == {"rows": "60", "ngrams": "2-5", "C": "0.3", "calibrated": "True"}
    assert run.data.metrics == {"accuracy": 0.9, "ece": 0.02}
    assert run.data.tags["as_of"] == "45"
    assert [d.dataset.digest for d in run.inputs.dataset_inputs] == ["9f2c"]
    assert (Path(run.info.artifact_uri.removeprefix("file://")) / "plots" / "curve.svg").is_file()


def _nested(registry: Registry, parent: str) -> dict[str, Any]:
    from mlflow import MlflowClient

    asked = f"tags.mlflow.parentRunId = '{parent}'"
    found = MlflowClient(registry.tracking_uri).search_runs(["1"], asked)
    return {run.info.run_name: run for run in found}


def test_variants_are_nested_runs_that_compare_by_the_same_names(
    registry: Registry, record: TrainingRecord
) -> None:
    made = registry.log_training(record)
    nested = _nested(registry, made.run_id)
    assert set(nested) == {"linear", "retrieval"}
    assert nested["retrieval"].data.metrics == {"accuracy": 0.8, "ece": 0.04}
    assert nested["retrieval"].data.params == {"C": "0.3"}
    assert nested["retrieval"].data.tags["variant"] == "retrieval"
    assert nested["retrieval"].data.tags["as_of"] == "45"
    for run in nested.values():
        assert run.info.status == "FINISHED"
        assert run.data.metrics.keys() == _run(registry, made.run_id).data.metrics.keys()
        assert [used.dataset.digest for used in run.inputs.dataset_inputs] == ["9f2c"]
    assert [version.run_id for version in registry.versions()] == [made.run_id]


def test_an_evaluation_is_added_to_the_run_and_replaced_by_the_next(
    registry: Registry, record: TrainingRecord, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    made, client = registry.log_training(record), MlflowClient(registry.tracking_uri)
    plot = tmp_path / "reliability.svg"
    plot.write_text("<svg/>", encoding="utf-8")
    tables = {"slices": pd.DataFrame({"slice": ["Latin"], "weak": [True]})}
    for accuracy in (0.7, 0.8):
        registry.log_evaluation(made.run_id, {"progressive_accuracy": accuracy}, tables, [plot])
    run = _run(registry, made.run_id)
    assert run.data.metrics == {"accuracy": 0.9, "ece": 0.02, "progressive_accuracy": 0.8}
    assert run.info.status == "FINISHED"
    found = [file.path for file in client.list_artifacts(made.run_id, "evaluation")]
    assert found == ["evaluation/reliability.svg", "evaluation/slices.json"]
    shown = json.loads(run.data.tags["mlflow.loggedArtifacts"])
    assert shown == [{"path": "evaluation/slices.json", "type": "table"}]
    with _process_wide(registry):
        loaded = client.load_table("1", "evaluation/slices.json", run_ids=[made.run_id])
    assert loaded.to_dict("records") == [{"slice": "Latin", "weak": True}]


def test_an_evaluation_of_a_run_that_is_not_there_is_told(registry: Registry) -> None:
    with pytest.raises(ModelUnavailable, match="log the evaluation of run 'abc'"):
        registry.log_evaluation("abc", {"a": 1.0}, {}, [])


def test_the_champion_answers_through_plain_mlflow(
    registry: Registry, record: TrainingRecord
) -> None:
    import mlflow

    registry.promote(registry.log_training(record).version, "first model")
    with _process_wide(registry):
        model = mlflow.pyfunc.load_model("models:/recognizer@champion")
    assert model.predict(["amzn mktp us 99"])[0]["target"] == "AMZN"
    assert model.metadata.signature.inputs.to_dict() == [{"type": "string", "required": True}]


def test_promotion_moves_the_aliases_and_keeps_the_reason(
    registry: Registry, record: TrainingRecord
) -> None:
    registry.log_training(record)
    registry.log_training(record)
    registry.promote("1", "first model")
    assert registry.aliases() == {"champion": "1", "challenger": "2"}
    registry.promote("2", "more right answers")
    assert registry.aliases() == {"champion": "2"}
    newest = registry.versions()[0]
    assert newest.tags["decision_reason"] == "more right answers"
    assert newest.tags["reason"] == "enough decisions"


def test_a_refused_version_says_why(registry: Registry, record: TrainingRecord) -> None:
    registry.log_training(record)
    registry.refuse("1", "not better")
    (only,) = registry.versions()
    assert (only.tags["decision"], only.tags["decision_reason"]) == ("refused", "not better")


def test_two_trainings_compare_by_the_same_metric_names(
    registry: Registry, record: TrainingRecord
) -> None:
    registry.log_training(record)
    registry.log_training(record)
    second, first = registry.versions()
    assert (first.version, second.version) == ("1", "2")
    assert first.run_id != second.run_id
    assert first.metrics.keys() == second.metrics.keys() == record.metrics.keys()
    assert (first.aliases, second.aliases) == ((), ("challenger",))
    assert first.created <= second.created


def test_a_bundle_is_served_when_mlflow_is_gone(
    registry: Registry, record: TrainingRecord, tmp_path: Path
) -> None:
    registry.log_training(record)
    first = registry.bundle("1", tmp_path / "cache")
    (tmp_path / "mlflow.db").unlink()
    (tmp_path / "artifacts").rename(tmp_path / "elsewhere")
    kept = Registry(registry.tracking_uri, registry.artifact_root).bundle("1", tmp_path / "cache")
    assert kept == first == tmp_path / "cache" / "recognizer" / "v1"
    assert bundle.load(kept).predict(["amzn mktp us 99"])[0] == "AMZN"
    assert [p.name for p in kept.parent.iterdir()] == ["v1"]


@pytest.mark.parametrize("version", ["9", "latest", "../1", ""])
def test_a_missing_version_cannot_be_had(
    registry: Registry, record: TrainingRecord, tmp_path: Path, version: str
) -> None:
    registry.log_training(record)
    with pytest.raises(ModelUnavailable):
        registry.bundle(version, tmp_path / "cache")
    with pytest.raises(ModelUnavailable):
        registry.promote(version, "rollback")
    assert registry.champion() is None
    assert not list(tmp_path.glob("cache/recognizer/*"))


def test_a_bundle_fetched_by_another_process_meanwhile_is_used(
    registry: Registry, record: TrainingRecord, tmp_path: Path
) -> None:
    registry.log_training(record)
    kept = registry.bundle("1", tmp_path / "cache")
    registry._fetch("1", kept)
    assert [p.name for p in kept.parent.iterdir()] == ["v1"]


def test_a_cache_that_cannot_be_written_is_not_hidden(
    registry: Registry, record: TrainingRecord, tmp_path: Path
) -> None:
    registry.log_training(record)
    (tmp_path / "cache" / "recognizer").mkdir(parents=True)
    (tmp_path / "cache" / "recognizer" / "v1").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="v1"):
        registry.bundle("1", tmp_path / "cache")


def test_a_training_that_breaks_off_is_marked_as_failed(
    registry: Registry, record: TrainingRecord, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    (tmp_path / "curve.svg").unlink()
    with pytest.raises(FileNotFoundError):
        registry.log_training(record)
    (run,) = MlflowClient(registry.tracking_uri).search_runs(["1"])
    assert run.info.status == "FAILED"
    assert registry.challenger() is None


def test_nothing_is_written_to_the_current_directory_or_the_process_wide_address(
    registry: Registry, record: TrainingRecord, tmp_path: Path
) -> None:
    import mlflow

    before = mlflow.get_tracking_uri()
    registry.promote(registry.log_training(record).version, "first model")
    registry.bundle("1", tmp_path / "cache")
    assert mlflow.get_tracking_uri() == before
    assert list(Path.cwd().iterdir()) == []


def test_run_pages_exist_only_where_mlflow_has_pages(registry: Registry, tmp_path: Path) -> None:
    assert registry.run_url("abc") is None
    shown = Registry(registry.tracking_uri, tmp_path / "artifacts", ui_url="http://127.0.0.1:5000/")
    assert shown.run_url("abc") == "http://127.0.0.1:5000/#/experiments/1/runs/abc"
