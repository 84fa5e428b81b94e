"""How the server ends."""

import signal
import subprocess
import sys

STARTING = """
import signal
from fastapi import FastAPI
from llm_pipeline.api.app import Server
server = Server(FastAPI(), "127.0.0.1", 1)
server.started = {started}
server.handle_exit(signal.SIGTERM, None)
assert server.should_exit
print("ends in order")
"""


def test_a_signal_while_it_starts_ends_it_at_once() -> None:
    assert _signalled(started=False) == (-signal.SIGTERM, "")


def test_a_signal_while_it_serves_ends_it_in_order() -> None:
    assert _signalled(started=True) == (0, "ends in order\n")


def _signalled(*, started: bool) -> tuple[int, str]:
    command = [sys.executable, "-c", STARTING.format(started=started)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return ended.returncode, ended.stdout
