"""One MLflow for all tests of the steps: each training gets a version of its own there."""

import pytest

from llm_pipeline.registry import Registry


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("mlflow")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
