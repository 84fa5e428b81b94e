"""What `llm-pipeline up` prepares before the processes start: Dagster's storage, a sign-in link."""

import secrets
from datetime import timedelta

from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role
from llm_pipeline.store import credentials
from llm_pipeline.wiring import Parts, now

LINK_LIFETIME = timedelta(hours=1)

# Telemetry can be switched off only here; one training at a time, or two would race.
_DAGSTER_YAML = """\
telemetry:
  enabled: false
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
concurrency:
  runs:
    max_concurrent_runs: 2
    tag_concurrency_limits:
      - key: llm_pipeline/alone
        value: learning
        limit: 1
# A run that hangs would keep its place in the queue for ever.
run_monitoring:
  enabled: true
  max_runtime_seconds: 86400
retention:
  sensor:
    purge_after_days:
      skipped: 1
"""


def prepare_dagster(settings: Settings) -> None:
    """Write dagster.yaml and create its storage in this one process: racing ones break it.

    Runs that were under way when everything was killed are ended as failed: nobody else would do
    so, and while one of them counts as running no other of its job begins.
    """
    # Imported here: it costs every other command a second.
    from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

    home = settings.path("dagster")
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(_DAGSTER_YAML)
    begun = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    with DagsterInstance.from_config(str(home)) as instance:
        for run in instance.get_runs(RunsFilter(statuses=begun)):
            instance.report_run_failed(run, "its process ended before it did")


def sign_in_link(parts: Parts, user: str = "admin", role: Role = Role.ADMIN) -> str:
    """Return a link that signs in once, within the hour."""
    secret = secrets.token_urlsafe(32)
    identity = credentials.Identity(user, role)
    with parts.begin() as session:
        credentials.add(session, "link", secret, identity, now(), now() + LINK_LIFETIME)
    return f"{parts.settings.api_url}/signin?code={secret}"
