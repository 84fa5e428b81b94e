"""Dashboards in processes of their own, forked from one that has imported all they need.

NiceGUI has one application in a process, and importing is nine tenths of a start; that one starts
without this too, `e2e/test_everything_up.py` shows. `python -m` this module is the process that
forks: a line of JSON with variables of the environment starts a dashboard, the number of its
process alone on a line ends it.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping

import llm_pipeline.api.app
import llm_pipeline.dashboard.mount  # noqa: F401

DASHBOARD = "llm_pipeline.dashboard"


class Servers:
    """Starts and ends dashboards."""

    def __init__(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            env=clean,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, environment: Mapping[str, str]) -> int:
        """Start a dashboard and return the number of its process."""
        return int(self._asked(json.dumps(dict(environment))))

    def end(self, process: int) -> None:
        """End a dashboard and wait for it."""
        code = int(self._asked(str(process)))
        # uvicorn has ended in order by then, and raises the signal again.
        assert code == -signal.SIGTERM, f"the dashboard ended with {code}"

    def close(self) -> None:
        self._process.communicate()

    def _asked(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


def _forked(environment: dict[str, str]) -> int:
    process = os.fork()
    if process == 0:
        os.environ.update(environment)
        # What a dashboard prints is no answer of this process.
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        sys.argv = [DASHBOARD]
        runpy.run_module(DASHBOARD, run_name="__main__", alter_sys=True)
        sys.exit(0)
    return process


def _ended(process: int) -> int:
    os.kill(process, signal.SIGTERM)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    # By `readline`, which reads no further than the line: a fork would share what is read ahead.
    while asked := sys.stdin.readline():
        wanted = json.loads(asked)
        print(_forked(wanted) if isinstance(wanted, dict) else _ended(wanted), flush=True)  # noqa: T201
