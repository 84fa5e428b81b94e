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
retention:
  sensor:
    purge_after_days:
      skipped: 1
"""


def prepare_dagster(settings: Settings) -> None:
    """Write dagster.yaml and create its storage in this one process: racing ones break it."""
    # Imported here: it costs every other command a second.
    from dagster import DagsterInstance

    home = settings.path("dagster")
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(_DAGSTER_YAML)
    with DagsterInstance.from_config(str(home)):
        pass


def sign_in_link(parts: Parts, user: str = "admin", role: Role = Role.ADMIN) -> str:
    """Return a link that signs in once, within the hour."""
    secret = secrets.token_urlsafe(32)
    identity = credentials.Identity(user, role)
    with parts.begin() as session:
        credentials.add(session, "link", secret, identity, now(), now() + LINK_LIFETIME)
    return f"{parts.settings.api_url}/signin?code={secret}"
