"""What assets, checks and sensors are given: the parts of this installation, built at run time."""

from functools import cached_property
from pathlib import Path

from dagster import ConfigurableResource

from llm_pipeline.config import Settings
from llm_pipeline.steps.train import Reason
from llm_pipeline.wiring import Parts, code_version

ACTOR = "dagster"


class Pipeline(ConfigurableResource):  # type: ignore[type-arg]
    """The parts of one installation; empty fields are read from the environment when first used."""

    home: str = ""
    database_url: str = ""
    learn_after: int = 0

    @cached_property
    def parts(self) -> Parts:
        given = {
            "home": Path(self.home) if self.home else None,
            "database_url": self.database_url or None,
            "learn_after": self.learn_after or None,
        }
        changed = {name: value for name, value in given.items() if value is not None}
        settings = Settings().model_copy(update=changed)
        parts = Parts(settings)
        parts.migrate()
        return parts

    def why(self, reason: str) -> Reason:
        """Return why a training runs, with the code it runs on."""
        return Reason(reason, ACTOR, code_version())
