"""What keeps the installation small: old things nobody needs are deleted by the clock."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from dagster import AssetsDefinition, MaterializeResult

from llm_pipeline.defs.resources import ACTOR, Pipeline
from llm_pipeline.defs.traced import asset
from llm_pipeline.steps.forget import Ages, forget
from llm_pipeline.wiring import now


@asset(group_name="data", kinds={"table"})
def forgotten(pipeline: Pipeline) -> MaterializeResult[Any]:
    """What was old and deleted: never what training or the history of a mapping needs."""
    parts = pipeline.parts
    settings = parts.settings
    ages = Ages(
        timedelta(settings.keep_events_days),
        timedelta(settings.keep_results_days),
        timedelta(settings.keep_ended_days),
        timedelta(settings.keep_losers_days),
    )
    done = forget(parts.database, parts.registry, ages, ACTOR, now)
    return MaterializeResult(metadata=asdict(done))


UPKEEP: list[AssetsDefinition] = [forgotten]
