"""One MLflow for all tests of the steps: each training gets a version of its own there; and a store
with a catalogue."""

import pytest

from llm_pipeline.registry import Registry
from llm_pipeline.store import gate_rows
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue
from llm_pipeline_tests.gate_factories import fill
from llm_pipeline_tests.templates import copy_mlflow


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("mlflow")
    copy_mlflow(folder / "mlflow.db")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def store(database: Database, clock: Clock) -> Database:
    load_catalogue(database, clock)
    return database


@pytest.fixture(params=["memory", "database"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small tables are read, large ones stay where they are; here every table counts as either."""
    if request.param == "database":
        monkeypatch.setattr(gate_rows, "FEW", 0)
    return str(request.param)


@pytest.fixture
def filled(database: Database, clock: Clock) -> Database:
    """120 approved texts of five targets, and three that wait with a suggestion."""
    fill(database, clock)
    return database
