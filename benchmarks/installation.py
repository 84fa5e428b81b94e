"""What `llm-pipeline up` starts, started one by one, so that each process can be stopped alone."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

PORTS = ("API", "DAGSTER", "DAGSTER_CODE", "MLFLOW")
STREAM = "/api/llm-data/stream-status"
WAIT_SECONDS = 180.0


class Installation:
    """`llm-pipeline up` in a folder, on free ports, with a client and a stream that is read."""

    def __init__(self, home: Path) -> None:
        self.home = home
        ports = {f"LLM_PIPELINE_{name}_PORT": str(_free_port()) for name in PORTS}
        self.environment = {**os.environ, **ports, "LLM_PIPELINE_HOME": str(home)}
        self.api = f"http://127.0.0.1:{ports['LLM_PIPELINE_API_PORT']}"
        self.heard: list[tuple[float, str]] = []

    @contextmanager
    def up(self, **settings: str) -> Iterator[httpx.Client]:
        """Start everything; it is killed when the block ends."""
        self._prepare()
        environment = self.environment | settings
        processes = {
            name: self.start(name, environment)
            for name in ("code", "api", "dagster", "daemon", "mlflow")
        }
        self.processes = processes
        with httpx.Client(base_url=self.api, headers=self.headers, timeout=10) as client:
            until(lambda: self.answers(client), WAIT_SECONDS)
            threading.Thread(target=self._listen, daemon=True).start()
            try:
                yield client
            finally:
                for one in processes.values():
                    end(one)

    def _prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        made = [
            sys.executable,
            "-m",
            "llm_pipeline.cli",
            "users",
            "token",
            "bench",
            "--role",
            "admin",
        ]
        token = subprocess.run(
            made, env=self.environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        self.headers = {"Authorization": f"Bearer {token}"}
        subprocess.run([sys.executable, "-c", PREPARE], env=self.environment, check=True)

    def start(
        self, name: str, environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start one process with the command and environment that `up` gives it."""
        log = (self.home / f"{name}.log").open("ab")
        told = [sys.executable, "-c", ONE, name]
        return subprocess.Popen(
            told,
            env=environment or self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def answers(self, client: httpx.Client) -> bool:
        try:
            return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _listen(self) -> None:
        """Read the stream for ever, from where it broke off."""
        last = "0"
        while True:
            try:
                with httpx.stream(
                    "GET",
                    self.api + STREAM,
                    headers={**self.headers, "Last-Event-ID": last},
                    timeout=30,
                ) as answer:
                    for line in answer.iter_lines():
                        if line.startswith("id:"):
                            last = line.partition(":")[2].strip()
                        if line.startswith("data:"):
                            self.heard.append((time.monotonic(), line))
            except httpx.HTTPError:
                time.sleep(0.2)


PREPARE = """
from llm_pipeline.config import Settings
from llm_pipeline.up import prepare_dagster
prepare_dagster(Settings())
"""
ONE = """
import os, sys
from llm_pipeline.config import Settings
from llm_pipeline.processes import commands, environment
settings = Settings()
os.execve("/bin/sh", ["sh", "-c", commands(settings)[sys.argv[1]]], environment(settings))
"""


def until(check: Callable[[], Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and what it started: none of them gets to say goodbye."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
