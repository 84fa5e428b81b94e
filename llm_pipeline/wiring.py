"""Puts the adapters together from the settings; for entry points only, steps build nothing."""

import os
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import SystemRandom

from llm_pipeline.config import Settings
from llm_pipeline.errors import ModelOutdated, ModelUnavailable
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.store.engine import Database, Engine, migrate, open_engine

# Nobody who sends texts may foresee which of them are audited.
DICE = SystemRandom()


def now() -> datetime:
    """The clock of the entry points."""
    return datetime.now(UTC)


def code_version() -> str:
    """Return the git commit of the checkout this package runs from, else its release."""
    found = subprocess.run(  # noqa: S603
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() if found.returncode == 0 else f"release {version('llm-pipeline')}"


# MLflow reads these when it is imported: no telemetry, no progress bars, no long waits for a
# server that is down.
_MLFLOW_ENVIRONMENT = {
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


class Parts:
    """Engine, registry and transactions of one process."""

    def __init__(self, settings: Settings) -> None:
        for name, value in _MLFLOW_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.settings = settings
        settings.path().mkdir(parents=True, exist_ok=True)
        self.engine: Engine = open_engine(settings.store_url)
        own = settings.tracking_uri.startswith("sqlite")
        self.registry = Registry(
            settings.tracking_uri,
            settings.path("mlartifacts") if own else None,
            ui_url=settings.mlflow_url if own else "",
        )
        self.database = Database(self.engine)
        self.begin = self.database.begin
        self.read = self.database.read

    def migrate(self) -> None:
        """Bring the database to the newest schema."""
        migrate(self.engine)

    def load_model(self, version: str) -> Recognizer:
        """Return a registered model, from the cache in the home folder once it was fetched.

        A copy that is damaged is fetched again.
        """
        cache = self.settings.path("models")
        copy = self.registry.bundle(version, cache)
        try:
            return bundle.load(copy)
        except ModelOutdated:
            raise
        except ModelUnavailable:
            shutil.rmtree(copy)
            return bundle.load(self.registry.bundle(version, cache))

    def serving(self) -> Serving:
        """Return a recogniser that has caught up with the log."""
        serving = Serving(self.load_model, self.settings.extra_names)
        with self.read() as session:
            serving.refresh(session)
        return serving
