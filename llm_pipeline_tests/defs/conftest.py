"""The pipeline as Dagster runs it, over a temporary installation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, Definitions

from llm_pipeline.definitions import build_definitions
from llm_pipeline.defs.resources import Pipeline
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, labelled, load_catalogue


@pytest.fixture
def pipeline(parts: Parts) -> Pipeline:
    return Pipeline(home=str(parts.settings.home), learn_after=3)


@pytest.fixture
def definitions(pipeline: Pipeline) -> Definitions:
    return build_definitions({"pipeline": pipeline})


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def filled(parts: Parts, clock: Clock, tmp_path: Path) -> Parts:
    """An installation with a catalogue and 60 approved texts."""
    load_catalogue(parts.database, clock)
    ingest_rows(parts.database, clock, tmp_path, labelled(), approved=True)
    return parts
