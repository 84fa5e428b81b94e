"""The processes of `llm-pipeline up`: started together, ended together by one Ctrl-C.

`python -m llm_pipeline.processes` replaces the command that has prepared everything, so that the
parent of all the others stays small: honcho forks it once per process.
"""

import json
import os
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import honcho.environ
import honcho.manager
import honcho.printer

from llm_pipeline import logs
from llm_pipeline.config import Settings
from llm_pipeline.errors import SetupError

LOCAL = "127.0.0.1"
SERVER_ENV = Path(__file__).parents[1] / "mlflow" / "server.env"


def check_ports(settings: Settings) -> None:
    """Raise SetupError that names every port that is taken, and how to choose another."""
    wanted = {
        "api_port": (settings.host, settings.api_port),
        "dagster_port": (LOCAL, settings.dagster_port),
        "dagster_code_port": (LOCAL, settings.dagster_code_port),
        "mlflow_port": (LOCAL, settings.mlflow_port),
    }
    taken = {name: port for name, (host, port) in wanted.items() if _is_taken(host, port)}
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


def commands(settings: Settings) -> dict[str, str]:
    """Return the shell command of every process, by its name."""
    python = shlex.quote(sys.executable)
    port = settings.dagster_code_port
    code = f"--grpc-host {LOCAL} --grpc-port {port} --log-level warning"
    if settings.log_format == "json":
        code += " --log-format json"
    # Webserver and daemon print a traceback each when the code server is not there yet.
    when_code_answers = (
        f"until {python} -m dagster api grpc-health-check -p {port} >/dev/null 2>&1; "
        "do sleep 0.2; done; exec"
    )
    found = {
        "api": f"exec {python} -m llm_pipeline.dashboard",
        "code": f"exec {python} -m dagster api grpc -m llm_pipeline.definitions "
        f"-h {LOCAL} -p {port} --log-level warning",
        "dagster": f"{when_code_answers} {python} -m dagster_webserver -h {LOCAL} "
        f"-p {settings.dagster_port} {code}",
        "daemon": f"{when_code_answers} {python} -m dagster._daemon run {code}",
    }
    if settings.tracking_uri.startswith("sqlite"):
        store = shlex.quote(settings.tracking_uri)
        artifacts = shlex.quote(settings.path("mlartifacts").as_uri())
        # Its workers outlive their parent's sudden death, and hold the port and what we read of it:
        # they end with it, by a signal to the group that is this process's own.
        found["mlflow"] = (
            "end() { trap '' TERM; kill -TERM 0; }; trap end TERM; "
            f"{python} -m mlflow server --host {LOCAL} --port {settings.mlflow_port} "
            f"--backend-store-uri {store} --artifacts-destination {artifacts} "
            "--uvicorn-opts '--log-level warning' & "
            "wait $!; code=$?; end; exit $code"
        )
    return found


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every process: ours, MLflow's settings and absolute homes."""
    of_mlflow = honcho.environ.parse(SERVER_ENV.read_text()) if SERVER_ENV.exists() else {}
    return {
        **os.environ,
        **of_mlflow,
        # MLflow starts `uvicorn` by its name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "LLM_PIPELINE_HOME": str(settings.path()),
        "DAGSTER_HOME": str(settings.path("dagster")),
    }


def run(settings: Settings) -> int:
    """Start everything; return an exit code when Ctrl-C or the end of one process ended it all."""
    as_json = settings.log_format == "json"
    manager = honcho.manager.Manager(printer=Printer(as_json=as_json))
    for name, command in commands(settings).items():
        manager.add_process(name, command, env=environment(settings))
    watched = {
        "dashboard": f"{settings.api_url}/readyz",
        "Dagster": f"{settings.dagster_url}/server_info",
        "MLflow": f"{settings.mlflow_url}/health",
    }
    told = (watched, _json_line if as_json else str)
    watcher = threading.Thread(target=_tell_when_ready, args=told, daemon=True)
    watcher.start()
    manager.loop()
    return int(manager.returncode or 0)


class Printer(honcho.printer.Printer):  # type: ignore[misc]
    """Lines of all processes with their names in front, or each as one JSON object: those that
    are none yet are put into one."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__(sys.stdout, prefix=not as_json)
        self._as_json = as_json

    def write(self, message: honcho.printer.Message) -> None:
        if self._as_json:
            data = message.data
            said = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
            lines = [_json_line(one, message.name) for one in said.splitlines() if one.strip()]
            message = message._replace(data="\n".join(lines))
        super().write(message)


def _json_line(said: str, name: str | None = None) -> str:
    try:
        if isinstance(json.loads(said), dict):
            return said
    except ValueError:
        pass
    told = logs.line(datetime.now(UTC), "info", name or "llm_pipeline.processes", said, None)
    return json.dumps(told, ensure_ascii=False)


def _tell_when_ready(watched: Mapping[str, str], formed: Callable[[str], str] = str) -> None:
    started = time.monotonic()
    waiting = dict(watched)
    while waiting:
        for name in [name for name, url in waiting.items() if answers(url)]:
            told = f"{name} answers after {time.monotonic() - started:.1f} s: {watched[name]}"
            sys.stdout.write(f"{formed(told.rpartition('/')[0])}\n")
            sys.stdout.flush()
            del waiting[name]
        time.sleep(0.2)


def answers(url: str) -> bool:
    """Return whether a server answers there with success."""
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)
    except (URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(run(Settings()))
