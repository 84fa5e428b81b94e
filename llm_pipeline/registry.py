"""MLflow's home, with `runs`: training runs, the registered model, its aliases and its bundles.

`mlflow` costs three seconds to import and is imported inside functions. Everything goes through
`MlflowClient` with explicit addresses: the fluent functions keep tracking address and active run in
process-wide state, which two registries or two threads would share.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.runs import (
    TrainingRecord,
    VariantRecord,
    forget_version,
    log_dataset,
    log_files,
    log_model,
    log_numbers,
    log_tables,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.entities.model_registry import RegisteredModel as StoredModel

CHAMPION = "champion"
CHALLENGER = "challenger"
EVALUATION = "evaluation"  # the folder of an evaluation's tables and plots in a run


@dataclass(frozen=True)
class RegisteredModel:
    version: str
    run_id: str


@dataclass(frozen=True)
class VersionSummary:
    version: str
    run_id: str
    created: datetime
    aliases: tuple[str, ...]
    tags: dict[str, str]
    metrics: dict[str, float]


class Registry:
    """The registered model `model_name` and the runs of `experiment` in one MLflow.

    `tracking_uri` is a database (`sqlite:///...`) or a server (`http://...`); `artifact_root` the
    experiment's folder, the same for every process, or None to leave the place to a server on
    another machine; `ui_url` the address of the MLflow pages where `tracking_uri` is not it.
    """

    def __init__(
        self,
        tracking_uri: str,
        artifact_root: Path | None,
        model_name: str = "recognizer",
        experiment: str = "llm_pipeline",
        *,
        ui_url: str = "",
    ) -> None:
        self.tracking_uri = tracking_uri
        self.artifact_root = artifact_root
        self.model_name = model_name
        self.experiment = experiment
        self.ui_url = ui_url

    def log_training(self, record: TrainingRecord) -> RegisteredModel:
        """Keep a training as a run, its variants as nested runs; register its model as challenger.

        The nested runs have the metrics of their parent by the same names: MLflow compares them.
        """
        with self._told("log a training"), self._run(record.tags) as run_id:
            self._log_facts(run_id, record)
            for variant in record.variants:
                self._log_variant(run_id, record, variant)
            logged = log_model(self._client, run_id, self.model_name, record)
            version = self._register(run_id, logged, record.tags)
            self._client.set_registered_model_alias(self.model_name, CHALLENGER, version)
        return RegisteredModel(version, run_id)

    def log_import(self, record: TrainingRecord) -> RegisteredModel:
        """Register a model that was not trained here; no alias points at it."""
        with self._told("log an import"), self._run(record.tags) as run_id:
            self._log_facts(run_id, record)
            logged = log_model(self._client, run_id, self.model_name, record)
            return RegisteredModel(self._register(run_id, logged, record.tags), run_id)

    def log_evaluation(
        self,
        run_id: str,
        metrics: Mapping[str, float],
        tables: Mapping[str, pd.DataFrame],
        plots: Sequence[Path],
    ) -> None:
        """Add to the run of a training what an evaluation found; once more replaces it."""
        with self._told(f"log the evaluation of run {run_id!r}"):
            log_numbers(self._client, run_id, metrics)
            log_tables(self._client, run_id, tables, EVALUATION)
            log_files(self._client, run_id, plots, EVALUATION)

    def log_comparison(self, run_id: str, numbers: Mapping[str, float]) -> None:
        """Add to a training's run how its model did beside the champion of the time."""
        with self._told(f"log the comparison of run {run_id!r}"):
            log_numbers(self._client, run_id, numbers)

    def champion(self) -> str | None:
        return self.aliases().get(CHAMPION)

    def challenger(self) -> str | None:
        return self.aliases().get(CHALLENGER)

    def aliases(self) -> dict[str, str]:
        """Return alias -> version; empty before the first training."""
        with self._told("read the aliases"):
            found = self._registered()
        return {alias: str(held) for alias, held in found.aliases.items()} if found else {}

    def promote(self, version: str, reason: str) -> None:
        """Let `version` answer from now on; a rollback is the promotion of an older version."""
        self._decide(version, "promoted", reason)
        with self._told(f"promote version {version!r}"):
            self._client.set_registered_model_alias(self.model_name, CHAMPION, version)
            if self.challenger() == version:
                self._client.delete_registered_model_alias(self.model_name, CHALLENGER)

    def refuse(self, version: str, reason: str) -> None:
        """Note why `version` did not become champion; it stays the challenger until the next."""
        self._decide(version, "refused", reason)

    def forget(self, version: str, run_id: str) -> None:
        """Delete a version and its run, with their files, as far as they are still there."""
        with self._told(f"delete version {version!r} of {self.model_name!r}"):
            forget_version(self._client, self.model_name, version, run_id)

    def run_of(self, version: str) -> str:
        with self._told(f"find version {version!r} of {self.model_name!r}"):
            return str(self._client.get_model_version(self.model_name, version).run_id)

    def run_url(self, run_id: str) -> str | None:
        """Return the address of the run's page, or None where MLflow has no web pages."""
        root = self.ui_url or self.tracking_uri
        if not root.startswith("http"):
            return None
        with self._told("find the experiment"):
            return f"{root.rstrip('/')}/#/experiments/{self._experiment_id()}/runs/{run_id}"

    def versions(self, limit: int = 50) -> list[VersionSummary]:
        """Return the newest versions first, each with the metrics of its run."""
        with self._told("list the models"):
            found = self._client.search_model_versions(
                f"name = '{self.model_name}'", limit, order_by=["version_number DESC"]
            )
            metrics = self._metrics_of([str(entry.run_id) for entry in found])
        aliases = self.aliases()
        return [_summary(entry, aliases, metrics) for entry in found]

    def bundle(self, version: str, cache: Path) -> Path:
        """Return the folder with the bundle of `version`, downloaded once.

        Later calls read the disk alone, so that the champion is served while MLflow is down.
        """
        # The version becomes a part of a path and may come from a request.
        if not (version.isascii() and version.isdigit()):
            raise ModelUnavailable(
                f"model version {version!r} is not a number; GET /api/ml/models lists the versions"
            )
        kept = cache / self.model_name / f"v{version}"
        if not kept.is_dir():
            self._fetch(version, kept)
        return kept

    @cached_property
    def _client(self) -> "MlflowClient":
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            raise ModelUnavailable(
                f"MLflow could not {doing}: {error.message} "
                "(`llm-pipeline doctor` tells whether it runs)"
            ) from error

    @contextmanager
    def _run(self, tags: Mapping[str, str]) -> Iterator[str]:
        run_id = self._client.create_run(self._experiment_id(), tags=dict(tags)).info.run_id
        status = "FAILED"
        try:
            yield run_id
            status = "FINISHED"
        finally:
            self._client.set_terminated(run_id, status)

    def _experiment_id(self) -> str:
        if found := self._client.get_experiment_by_name(self.experiment):
            return str(found.experiment_id)
        # Without it a database address writes to `mlruns` in the current directory.
        place = self.artifact_root.resolve().as_uri() if self.artifact_root else None
        return str(self._client.create_experiment(self.experiment, artifact_location=place))

    def _log_facts(self, run_id: str, record: TrainingRecord) -> None:
        log_numbers(self._client, run_id, record.metrics, record.params)
        log_dataset(self._client, run_id, record)
        log_files(self._client, run_id, record.plots, "plots")

    def _log_variant(self, parent: str, record: TrainingRecord, variant: VariantRecord) -> None:
        from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

        own = {MLFLOW_PARENT_RUN_ID: parent, MLFLOW_RUN_NAME: variant.name, "variant": variant.name}
        with self._run({**record.tags, **own}) as run_id:
            log_numbers(self._client, run_id, variant.metrics, variant.params)
            log_dataset(self._client, run_id, record)

    def _registered(self) -> "StoredModel | None":
        found = self._client.search_registered_models(f"name = '{self.model_name}'")
        return found[0] if found else None

    def _register(self, run_id: str, logged: "LoggedModel", tags: Mapping[str, str]) -> str:
        if self._registered() is None:
            self._client.create_registered_model(self.model_name)
        # Not `models:/<id>`: the database store resolves that at the process-wide address.
        place = logged.artifact_location
        made = self._client.create_model_version(
            self.model_name, place, run_id, dict(tags), model_id=logged.model_id
        )
        return str(made.version)

    def _decide(self, version: str, decision: str, reason: str) -> None:
        with self._told(f"tag version {version!r} of {self.model_name!r}"):
            for key, value in (("decision", decision), ("decision_reason", reason)):
                self._client.set_model_version_tag(self.model_name, version, key, value)

    def _metrics_of(self, run_ids: list[str]) -> dict[str, dict[str, float]]:
        if not run_ids:
            return {}
        wanted = ", ".join(f"'{run_id}'" for run_id in run_ids)
        runs = self._client.search_runs(
            [self._experiment_id()], f"attributes.run_id IN ({wanted})", max_results=len(run_ids)
        )
        return {run.info.run_id: dict(run.data.metrics) for run in runs}

    def _fetch(self, version: str, kept: Path) -> None:
        """Download beside `kept` and rename: a crash leaves a stray folder, never half a bundle."""
        from mlflow.artifacts import download_artifacts

        kept.parent.mkdir(parents=True, exist_ok=True)
        doing = f"download version {version!r} of {self.model_name!r}"
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder, self._told(doing):
            # `models:/...` would be looked up at the process-wide address, whatever is passed here.
            source = self._client.get_model_version_download_uri(self.model_name, version)
            artifacts = download_artifacts(
                f"{source}/artifacts", dst_path=folder, tracking_uri=self.tracking_uri
            )
            _move_only_folder(Path(artifacts), kept)


def _summary(
    entry: "ModelVersion", aliases: Mapping[str, str], metrics: Mapping[str, dict[str, float]]
) -> VersionSummary:
    version = str(entry.version)
    return VersionSummary(
        version=version,
        run_id=str(entry.run_id),
        created=datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC),
        # Searching for versions does not fill their own `aliases`.
        aliases=tuple(alias for alias, held in aliases.items() if held == version),
        tags=dict(entry.tags),
        metrics=metrics.get(str(entry.run_id), {}),
    )


def _move_only_folder(artifacts: Path, kept: Path) -> None:
    """Move the one artifact, named after the folder it was saved from, to where it is kept."""
    (folder,) = artifacts.iterdir()
    try:
        folder.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
        # Another process was faster; a version never changes, so its copy is as good.
