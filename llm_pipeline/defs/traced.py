"""Dagster's `asset` and `asset_check`, with a span around what each of them does."""

from collections.abc import Callable
from typing import Any

import dagster
from dagster import AssetChecksDefinition, AssetsDefinition

from llm_pipeline.tracing import traced


def asset(**given: Any) -> Callable[[Callable[..., Any]], AssetsDefinition]:
    """Return Dagster's decorator for a function that is traced."""

    def decorate(function: Callable[..., Any]) -> AssetsDefinition:
        name = f"asset {function.__name__}"
        made: AssetsDefinition = dagster.asset(**given)(traced(name, function))
        return made

    return decorate


def asset_check(**given: Any) -> Callable[[Callable[..., Any]], AssetChecksDefinition]:
    """The same for checks."""

    def decorate(function: Callable[..., Any]) -> AssetChecksDefinition:
        name = given.get("name") or function.__name__
        return dagster.asset_check(**given)(traced(f"check {name}", function))

    return decorate
