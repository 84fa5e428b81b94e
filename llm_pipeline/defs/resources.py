"""What assets, checks and sensors are given: the parts of this installation, built at run time."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from dagster import ConfigurableResource, InitResourceContext

from llm_pipeline import tracing
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

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator["Pipeline"]:
        """Be there for a run, which is a span around those of its assets; ticks are none."""
        if context.run is None or not tracing.start("llm_pipeline runs"):
            yield self
            return
        with tracing.span(f"run {context.run.job_name}", run_id=context.run.run_id):
            yield self
        tracing.flush()

    def why(self, reason: str) -> Reason:
        """Return why a training runs, with the code it runs on."""
        return Reason(reason, ACTOR, code_version())
