"""`llm-pipeline up`: API with dashboard, Dagster and MLflow as one command that ends as one."""

import os
import secrets
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import honcho.environ
import honcho.manager

from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import SetupError
from llm_pipeline.store import credentials
from llm_pipeline.wiring import Parts, now

LINK_LIFETIME = timedelta(hours=1)
SERVER_ENV = Path(__file__).parents[1] / "mlflow" / "server.env"

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


def check_ports(settings: Settings) -> None:
    """Raise SetupError that names every port that is taken, and how to choose another."""
    wanted = {
        "api_port": settings.api_port,
        "dagster_port": settings.dagster_port,
        "dagster_code_port": settings.dagster_code_port,
        "mlflow_port": settings.mlflow_port,
    }
    taken = {name: port for name, port in wanted.items() if _is_taken(settings.host, port)}
    if taken:
        told = ", ".join(f"{port} ({name})" for name, port in taken.items())
        example = f"LLM_PIPELINE_{next(iter(taken)).upper()}"
        raise SetupError(
            f"port {told} is taken: end what listens there, or choose another with {example}=..."
        )


def _is_taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do, so that a port in TIME_WAIT after a restart is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def prepare_dagster(settings: Settings) -> None:
    """Write dagster.yaml and create its storage in this one process: racing ones break it."""
    home = settings.path("dagster")
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(_DAGSTER_YAML)
    from dagster import DagsterInstance

    with DagsterInstance.from_config(str(home)):
        pass


def sign_in_link(parts: Parts, user: str = "admin", role: Role = Role.ADMIN) -> str:
    """Return a link that signs in once, within the hour."""
    secret = secrets.token_urlsafe(32)
    identity = credentials.Identity(user, role)
    with parts.begin() as session:
        credentials.add(session, "link", secret, identity, now(), now() + LINK_LIFETIME)
    return f"{parts.settings.api_url}/signin?code={secret}"


def commands(settings: Settings) -> dict[str, str]:
    """Return the command line of every process, by its name."""
    python = shlex.quote(sys.executable)
    local = "127.0.0.1"
    code = f"--grpc-host {local} --grpc-port {settings.dagster_code_port}"
    found = {
        "api": f"{python} -m llm_pipeline.api.server",
        "code": f"{python} -m dagster api grpc -m llm_pipeline.definitions "
        f"-h {local} -p {settings.dagster_code_port} --heartbeat-timeout 60",
        "dagster": f"{python} -m dagster_webserver -h {local} -p {settings.dagster_port} {code}",
        "daemon": f"{python} -m dagster._daemon run {code}",
    }
    if settings.tracking_uri.startswith("sqlite"):
        store = shlex.quote(settings.tracking_uri)
        artifacts = shlex.quote(settings.path("mlartifacts").as_uri())
        found["mlflow"] = (
            f"{python} -m mlflow server --host {local} --port {settings.mlflow_port} "
            f"--backend-store-uri {store} --artifacts-destination {artifacts}"
        )
    return found


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every process: ours, MLflow's settings and absolute homes."""
    quiet = honcho.environ.parse(SERVER_ENV.read_text()) if SERVER_ENV.exists() else {}
    return {
        **os.environ,
        **quiet,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "LLM_PIPELINE_HOME": str(settings.path()),
        "DAGSTER_HOME": str(settings.path("dagster")),
    }


def run(settings: Settings, told: Callable[[str], None]) -> int:
    """Start everything and return when Ctrl-C or the end of one process has ended it all."""
    manager = honcho.manager.Manager()
    for name, command in commands(settings).items():
        manager.add_process(name, command, env=environment(settings))
    watched = {
        "dashboard": f"{settings.api_url}/readyz",
        "Dagster": f"{settings.dagster_url}/server_info",
        "MLflow": f"{settings.mlflow_url}/health",
    }
    watcher = threading.Thread(target=_tell_when_ready, args=(watched, told), daemon=True)
    watcher.start()
    manager.loop()
    return int(manager.returncode or 0)


def _tell_when_ready(watched: Mapping[str, str], told: Callable[[str], None]) -> None:
    started = time.monotonic()
    waiting = dict(watched)
    while waiting:
        for name in [name for name, url in waiting.items() if _answers(url)]:
            told(f"{name} answers after {time.monotonic() - started:.1f} s")
            del waiting[name]
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
