"""Settings, from environment variables named `LLM_PIPELINE_...`; made by entry points only."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from llm_pipeline.domain.extra import column_names


class Settings(BaseSettings):
    """All settings, each with a default that works on one machine."""

    model_config = SettingsConfigDict(env_prefix="LLM_PIPELINE_", extra="forbid")

    home: Path = Field(
        default=Path(".llm_pipeline"),
        description="folder of everything kept: database, models, uploads, Dagster and MLflow",
    )
    database_url: str = Field(
        default="",
        description="`postgresql+psycopg://USER@HOST/NAME`; empty: SQLite in the home folder",
    )
    mlflow_tracking_uri: str = Field(
        default="", description="an MLflow server or database; empty: SQLite in the home folder"
    )
    host: str = Field(default="127.0.0.1", description="address the API listens on")
    api_port: int = Field(default=8000, description="port of the API and the dashboard")
    dagster_port: int = Field(default=3000, description="port of the Dagster webserver")
    dagster_code_port: int = Field(default=4266, description="port of the shared code server")
    mlflow_port: int = Field(default=5000, description="port of the MLflow server")
    learn_after: int = Field(
        default=20, ge=1, description="newly approved texts after which a training starts by itself"
    )
    shadow_answers: int = Field(
        default=0,
        ge=0,
        description="decided texts that a better challenger must first have answered beside the "
        "champion; 0: it takes over at once",
    )
    learn_after_feedback: int = Field(
        default=10, ge=1, description="answers called wrong after which a training starts by itself"
    )
    audit_hours: float = Field(
        default=72.0, gt=0, description="hours people have to answer an audit before it is overdue"
    )
    refit_after: int = Field(
        default=20, ge=1, description="newly answered audits after which the policy is fitted again"
    )
    second_review_share: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="share of review groups that two people must answer, neither seeing the other",
    )
    keep_events_days: float = Field(
        default=400.0, ge=14, description="days after which events leave the log"
    )
    keep_results_days: float = Field(
        default=90.0,
        ge=14,
        description="days after which gate results, reports, posted numbers and deliveries of "
        "webhooks are deleted, the newest of each kind aside",
    )
    keep_ended_days: float = Field(
        default=30.0,
        ge=1,
        description="days after which idempotency keys, and sessions, links and tokens that ended, "
        "are deleted",
    )
    keep_losers_days: float = Field(
        default=90.0,
        ge=1,
        description="days after which models that were refused and never answered are deleted",
    )
    max_upload_mb: int = Field(default=2048, ge=1, description="largest file the API accepts, MiB")
    search_seconds: float = Field(
        default=2.0, gt=0, le=60, description="longest time a search may take, in seconds"
    )
    extra_columns: str = Field(
        default="",
        description="columns beside the text, with commas between, that recognition may use where "
        "they help: `amount`, `source`, `month` and the files' own",
    )

    health_seconds: float = Field(
        default=5.0, gt=0, description="seconds between two looks at every component"
    )
    numbers_seconds: float = Field(
        default=300.0,
        gt=0,
        description="seconds between two measurements of this installation that are kept",
    )
    low_disk_mb: int = Field(
        default=2048, ge=1, description="free MiB below which the disk is degraded; a tenth: down"
    )
    low_memory_mb: int = Field(
        default=512, ge=1, description="free MiB below which memory is degraded; a tenth: down"
    )
    metrics_open: bool = Field(
        default=False,
        description="let who asks from this machine, not through a proxy, read /metrics without "
        "a token",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="`text`, or `json`: one object a line"
    )

    def path(self, *parts: str) -> Path:
        """Return an absolute path inside the home folder."""
        return self.home.resolve().joinpath(*parts)

    @property
    def extra_names(self) -> tuple[str, ...]:
        return column_names(self.extra_columns)

    @property
    def audit_due(self) -> timedelta:
        return timedelta(hours=self.audit_hours)

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{self.path('store.db')}"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or f"sqlite:///{self.path('mlflow.db')}"

    @property
    def api_url(self) -> str:
        return f"http://{self.host}:{self.api_port}"

    @property
    def dagster_url(self) -> str:
        return f"http://127.0.0.1:{self.dagster_port}"

    @property
    def mlflow_url(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"
