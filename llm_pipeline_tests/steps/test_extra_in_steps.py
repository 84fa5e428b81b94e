"""Columns beside the text through the whole loop: learned, tested, served, measured."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from llm_pipeline.domain.records import Status
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.steps.check import check
from llm_pipeline.steps.evaluate import evaluate_model
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.promote import compare, settle
from llm_pipeline.steps.recognize import Serving, recognize_one, recognize_waiting
from llm_pipeline.steps.train import Reason, train
from llm_pipeline.store import mappings, models
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, shops, write_csv

COLUMN = ("gl_desc",)
HEADER = ("text", "target", "gl_desc")
Load = Callable[[str], Recognizer]


@pytest.fixture
def load(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Load:
    cache = tmp_path_factory.mktemp("models")
    return lambda version: bundle.load(registry.bundle(version, cache))


def _ingest(
    database: Database, clock: Clock, folder: Path, rows: Sequence[Sequence[str]], status: Status
) -> None:
    path = write_csv(folder / f"{status}.csv", HEADER, rows)
    ingest_file(database, Job(path, "tests", status), clock, lambda _rows: None)


def _train(
    database: Database, registry: Registry, clock: Clock, folder: Path, *, decides: bool
) -> models.StoredModel:
    load_catalogue(database, clock)
    _ingest(database, clock, folder, shops(300, 0, decides=decides), Status.APPROVED)
    with database.begin() as session:
        prepare(session, "ann", clock())
    assert check(database, "training_set", "ann", clock).success
    return train(database, registry, Reason("tests", "ann", "abc"), clock, extra=COLUMN)


def _params(registry: Registry, model: models.StoredModel) -> dict[str, str]:
    return dict(MlflowClient(registry.tracking_uri).get_run(model.run_id).data.params)


def _served(database: Database, load: Load, columns: Sequence[str] = ()) -> Serving:
    serving = Serving(load, columns)
    with database.read() as session:
        serving.refresh(session)
    return serving


def _right(database: Database, wanted: dict[str, str]) -> float:
    with database.read() as session:
        found = mappings.page(session, mappings.Filter(status=Status.PENDING), None, 1_000).items
    return float(np.mean([one.suggested_target == wanted[one.text] for one in found]))


def test_a_column_that_decides_is_learned_promoted_and_used_for_what_waits(
    database: Database, registry: Registry, load: Load, clock: Clock, tmp_path: Path
) -> None:
    model = _train(database, registry, clock, tmp_path, decides=True)
    assert (
        _params(registry, model).items()
        >= {"extra_columns": "gl_desc", "extra_used": "True"}.items()
    )
    assert model.metrics["extra_only_with"] > 2 * model.metrics["extra_only_without"]
    assert model.metrics["extra_p"] < 0.001
    assert model.metrics["unseen_accuracy"] > 0.7

    compared = compare(database, load, extra=COLUMN)
    assert compared.verdict.promote
    with database.begin() as session:
        assert settle(session, registry, compared, "ann", clock())
    asked = shops(100, 1, decides=True)
    waiting = [(text, "", column) for text, _, column in asked]
    _ingest(database, clock, tmp_path, waiting, Status.PENDING)
    serving = _served(database, load, COLUMN)
    assert recognize_waiting(database, serving, "ann", clock).rows == 100
    wanted = {text: target for text, target, _ in asked}
    assert _right(database, wanted) > 0.8

    # The same texts without their columns.
    texts = list(wanted)
    plain = [a.candidates[0].target for a in _served(database, load).recognize(texts)]
    assert np.mean(np.array(plain) == np.array(list(wanted.values()))) < 0.7


def test_one_waiting_text_is_asked_with_its_columns(
    database: Database, registry: Registry, load: Load, clock: Clock, tmp_path: Path
) -> None:
    model = _train(database, registry, clock, tmp_path, decides=True)
    with database.begin() as session:
        models.promote(session, model.version, "", clock())
    rows = [("harbor qqqzzz", "", "meals"), ("harbor zzzqqq", "", "parts, all")]
    _ingest(database, clock, tmp_path, rows, Status.PENDING)
    serving = _served(database, load, COLUMN)
    with database.begin() as session:
        found = mappings.page(session, mappings.Filter(status=Status.PENDING), None, 5).items
        answers = [
            recognize_one(session, serving, one.id, one.text, "ann", clock()) for one in found
        ]
    assert {answer.text: answer.candidates[0].target for answer in answers} == {
        "harbor qqqzzz": "SBUX",
        "harbor zzzqqq": "AMZN",
    }


def test_a_column_of_noise_is_dropped(
    database: Database, registry: Registry, load: Load, clock: Clock, tmp_path: Path
) -> None:
    model = _train(database, registry, clock, tmp_path, decides=False)
    assert _params(registry, model)["extra_used"] == "False"
    assert model.metrics["extra_p"] > 0.05
    assert not load(model.version).extra_used_


def test_the_stream_is_replayed_with_its_columns(
    database: Database, registry: Registry, load: Load, clock: Clock, tmp_path: Path
) -> None:
    _train(database, registry, clock, tmp_path, decides=True)
    without = evaluate_model(database, registry, load, "ann", clock)
    beside = evaluate_model(database, registry, load, "ann", clock, extra=COLUMN)
    right = [
        found.content["metrics"]["progressive_recent_new_accuracy"] for found in (without, beside)
    ]
    assert right[0] < 0.65
    assert right[1] > right[0] + 0.1
