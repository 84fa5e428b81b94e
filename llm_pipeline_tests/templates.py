"""Migrated databases that are made once in a process and copied for each test: migrating our own
takes half a second, MLflow's five."""

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_pipeline.registry import Registry
from llm_pipeline.store.engine import migrate, open_engine

STORE = "store.db"
MLFLOW = "mlflow.db"


def copy_store(to: Path) -> None:
    """Write an empty store of ours."""
    shutil.copy(Path(_store().name, STORE), to)


def copy_mlflow(to: Path) -> None:
    """Write an MLflow that knows of no run."""
    shutil.copy(Path(_mlflow().name, MLFLOW), to)


def copy_installation(home: Path) -> None:
    """Write both, where an installation in a folder has them."""
    copy_store(home / STORE)
    copy_mlflow(home / MLFLOW)


@cache
def _store() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="llm_pipeline_")
    engine = open_engine(f"sqlite:///{folder.name}/{STORE}")
    migrate(engine)
    engine.dispose()
    return folder


@cache
def _mlflow() -> TemporaryDirectory[str]:
    folder = TemporaryDirectory(prefix="llm_pipeline_")
    Registry(f"sqlite:///{folder.name}/{MLFLOW}", Path(folder.name)).aliases()
    return folder
