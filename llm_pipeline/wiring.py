"""Puts the adapters together from the settings; for entry points only, steps build nothing."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial

from llm_pipeline.config import Settings
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.store.engine import Engine, Session, migrate, open_engine, reading, transaction


def now() -> datetime:
    """The clock of the entry points."""
    return datetime.now(UTC)


class Parts:
    """Engine, registry and transactions of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.path().mkdir(parents=True, exist_ok=True)
        self.engine: Engine = open_engine(settings.store_url)
        self.registry = Registry(settings.tracking_uri, settings.path("mlartifacts"))
        self.begin: Callable[[], AbstractContextManager[Session]] = partial(
            transaction, self.engine
        )
        self.read: Callable[[], AbstractContextManager[Session]] = partial(reading, self.engine)

    def migrate(self) -> None:
        """Bring the database to the newest schema."""
        migrate(self.engine)

    def load_model(self, version: str) -> Recognizer:
        """Return a registered model, from the cache in the home folder once it was fetched."""
        return bundle.load(self.registry.bundle(version, self.settings.path("models")))

    def serving(self) -> Serving:
        """Return a recogniser that has caught up with the log."""
        serving = Serving(self.load_model)
        with self.read() as session:
            serving.refresh(session)
        return serving
