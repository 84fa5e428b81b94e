"""What tests ask of Dagster: a job's run, an asset's metadata, a sensor's tick."""

from dagster import (
    AssetKey,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    build_sensor_context,
)

from llm_pipeline.defs.resources import Pipeline


def run(
    definitions: Definitions, instance: DagsterInstance, job: str, *assets: str
) -> ExecuteInProcessResult:
    selected = [AssetKey(name) for name in assets] or None
    return definitions.resolve_job_def(job).execute_in_process(
        instance=instance, raise_on_error=False, asset_selection=selected
    )


def metadata(result: ExecuteInProcessResult, asset: str) -> dict[str, object]:
    (found,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in found.metadata.items()}


def tick(
    sensor: object, instance: DagsterInstance, pipeline: Pipeline, definitions: Definitions
) -> object:
    context = build_sensor_context(
        instance=instance, resources={"pipeline": pipeline}, definitions=definitions
    )
    with context:
        return sensor(context)  # type: ignore[operator]
