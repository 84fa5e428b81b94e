"""What one MLflow run holds: parameters, metrics, the data set, tables, plots and a model.

`registry` decides which run; both get their client from it and are MLflow's only home.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

_PACKAGE = Path(__file__).parent
_PYTHON_MODEL = _PACKAGE / "model" / "pyfunc.py"
# Passed explicitly: inferring them starts a process that loads the model and takes 15-22 s.
_REQUIREMENTS = ("mlflow", "numpy", "scipy", "pandas", "scikit-learn", "sparse-dot-topn")

Params = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class VariantRecord:
    """One way of answering that a training tried: a nested run, to be compared with the others."""

    name: str
    params: Params
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainingRecord:
    """What is kept of one training; `tags` carry `as_of`, the reason and the like."""

    params: Params
    metrics: Mapping[str, float]
    bundle: Path
    dataset_name: str
    dataset_digest: str
    examples: list[str]
    tags: Mapping[str, str] = field(default_factory=dict)
    plots: list[Path] = field(default_factory=list)
    variants: list[VariantRecord] = field(default_factory=list)


def log_numbers(
    client: "MlflowClient", run_id: str, metrics: Mapping[str, float], params: Params | None = None
) -> None:
    from mlflow.entities import Metric, Param

    now = int(datetime.now(UTC).timestamp() * 1000)
    client.log_batch(
        run_id,
        [Metric(name, float(value), now, 0) for name, value in metrics.items()],
        [Param(key, str(value)) for key, value in (params or {}).items()],
    )


def log_dataset(client: "MlflowClient", run_id: str, record: TrainingRecord) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    # The digest names the rows; MLflow's own hashing and profiling costs seconds.
    source = json.dumps({"tags": dict(record.tags)})
    rows = Dataset(record.dataset_name, record.dataset_digest, "code", source)
    used = DatasetInput(rows, [InputTag("mlflow.data.context", "training")])
    client.log_inputs(run_id, [used])


def log_files(client: "MlflowClient", run_id: str, files: Sequence[Path], folder: str) -> None:
    for file in files:
        client.log_artifact(run_id, str(file), folder)


def log_tables(
    client: "MlflowClient", run_id: str, tables: Mapping[str, pd.DataFrame], folder: str
) -> None:
    """Keep tables where the run's page and the comparison of runs show them.

    The form is that of `MlflowClient.log_table`, which appends: logged twice, rows were double.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

    with TemporaryDirectory() as parent:
        for name, table in tables.items():
            file = Path(parent, f"{name}.json")
            table.to_json(file, orient="split", index=False, date_format="iso")
            client.log_artifact(run_id, str(file), folder)
    told = json.loads(client.get_run(run_id).data.tags.get(MLFLOW_LOGGED_ARTIFACTS, "[]"))
    new = [{"path": f"{folder}/{name}.json", "type": "table"} for name in tables]
    listed = [*told, *(entry for entry in new if entry not in told)]
    client.set_tag(run_id, MLFLOW_LOGGED_ARTIFACTS, json.dumps(listed))


def log_model(
    client: "MlflowClient", run_id: str, name: str, record: TrainingRecord
) -> "LoggedModel":
    """Keep code and bundle as a logged model of the run."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model
    from mlflow.pyfunc import save_model

    experiment = client.get_run(run_id).info.experiment_id
    made = client.create_logged_model(experiment, name, source_run_id=run_id)
    model_id = str(made.model_id)
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "model"
        save_model(
            folder,
            python_model=str(_PYTHON_MODEL),
            artifacts={"bundle": str(record.bundle)},
            code_paths=[str(_PACKAGE)],
            pip_requirements=[f"{name}=={installed_version(name)}" for name in _REQUIREMENTS],
            input_example=record.examples,
            mlflow_model=Model(run_id=run_id, model_id=model_id),
        )
        client.log_model_artifacts(model_id, str(folder))
    client.finalize_logged_model(model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
    return made


def forget_version(client: "MlflowClient", name: str, version: str, run_id: str) -> None:
    """Delete a version, its run, the runs nested in it and its models, with their files.

    What is gone already is left, so that a deletion that broke off goes on. Parameters and metrics
    can be restored until MLflow's own `gc` takes them.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    run = client.get_run(run_id)
    nested = client.search_runs(
        [run.info.experiment_id], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'"
    )
    for made in run.outputs.model_outputs if run.outputs else ():
        with _if_there():
            _delete_files(client.get_logged_model(made.model_id).artifact_location)
            client.delete_logged_model(made.model_id)
    for one in [*nested, run]:
        _delete_files(one.info.artifact_uri)
        if one.info.lifecycle_stage == "active":
            client.delete_run(one.info.run_id)
    with _if_there():
        client.delete_model_version(name, version)


@contextmanager
def _if_there() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise


def _delete_files(place: str) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    get_artifact_repository(place).delete_artifacts()  # type: ignore[no-untyped-call]
