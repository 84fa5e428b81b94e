"""One MLflow for all tests of the steps: each training gets a version of its own there; and a store
with a catalogue."""

import pytest

from llm_pipeline.registry import Registry
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")


@pytest.fixture
def store(database: Database, clock: Clock) -> Database:
    load_catalogue(database, clock)
    return database
