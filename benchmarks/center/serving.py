"""The API as users meet it: a server process of its own, and clients that know its token."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
from measuring import timed

from center.stores import PEOPLE, token
from llm_pipeline.config import Settings

MAPPINGS = "/api/llm-center/mappings"
START_SECONDS = 1_200


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run the API over a store and yield its address."""
    with started(settings) as (address, _process):
        yield address


@contextmanager
def started(
    settings: Settings, module: str = "llm_pipeline.api"
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the API over a store, or what else is named, and yield its address and its process,
    which may be killed."""
    port = _free_port()
    named = {
        "LLM_PIPELINE_HOME": str(settings.home),
        "LLM_PIPELINE_DATABASE_URL": settings.database_url,
        "LLM_PIPELINE_API_PORT": str(port),
    }
    # -P: the package of this process, not one that lies in the current folder.
    command = [sys.executable, "-P", "-m", module]
    process = subprocess.Popen(command, env=os.environ | named)
    try:
        _wait(process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def client(address: str, user: str = PEOPLE[0]) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token(user)}"}
    return httpx.Client(base_url=address, headers=headers, timeout=600)


def milliseconds(call: Callable[[], httpx.Response]) -> float:
    """Return how long a request took that had to succeed."""
    answer, seconds = timed(call)
    answer.raise_for_status()
    return seconds * 1000


def spread(taken: list[float]) -> str:
    """Say median and 95th percentile."""
    return f"p50 {percentile(taken, 50):.3g}, p95 {percentile(taken, 95):.3g} ms"


def percentile(taken: list[float], share: int) -> float:
    return float(np.percentile(taken, share))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{address}/healthz", timeout=5).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the API did not start: {process.poll()}")
