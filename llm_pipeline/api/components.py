"""How the components of the system are, each asked for itself; nothing here raises."""

import shutil
import time
from typing import Literal
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from pydantic import BaseModel

from llm_pipeline.api.deps import Services
from llm_pipeline.store import log, plans, uploads
from llm_pipeline.store.state import DatabaseError

Health = Literal["ok", "degraded", "down"]

LOW_DISK = 2 * 2**30
LOW_MEMORY = 512 * 2**20
SLOW_SECONDS = 0.5
LAG_EVENTS = 1000
_WAIT_SECONDS = 1.0


class Component(BaseModel):
    """A component and how it is."""

    name: str
    status: Health
    detail: str


def examine(services: Services) -> list[Component]:
    """Ask every component."""
    settings = services.parts.settings
    return [
        _database(services),
        _recogniser(services),
        _background(services),
        _server("Dagster", f"{settings.dagster_url}/server_info"),
        _server("MLflow", f"{settings.mlflow_url}/health"),
        _disk(services),
        _memory(),
    ]


def _database(services: Services) -> Component:
    began = time.perf_counter()
    try:
        with services.parts.read() as session:
            offset = log.latest(session)
    except DatabaseError as error:
        return Component(name="Database", status="down", detail=str(error)[:200])
    seconds = time.perf_counter() - began
    status: Health = "degraded" if seconds > SLOW_SECONDS else "ok"
    kind = services.parts.settings.store_url.partition(":")[0].partition("+")[0]
    told = f"{kind} answered in {seconds * 1000:.1f} ms, at offset {offset:,}"
    return Component(name="Database", status=status, detail=told)


def _recogniser(services: Services) -> Component:
    serving = services.live.serving
    if serving.problem:
        return Component(name="Recogniser", status="degraded", detail=serving.problem)
    try:
        with services.parts.read() as session:
            behind = log.latest(session) - serving.offset
    except DatabaseError as error:
        return Component(name="Recogniser", status="degraded", detail=str(error)[:200])
    answers = f"model {serving.version}" if serving.version else "names and approvals"
    status: Health = "degraded" if behind > LAG_EVENTS else "ok"
    lag = "up to date with the log" if not behind else f"{behind:,} events behind the log"
    return Component(name="Recogniser", status=status, detail=f"{answers}, {lag}")


def _background(services: Services) -> Component:
    try:
        with services.parts.read() as session:
            files, running = len(uploads.unfinished(session)), len(plans.under_way(session))
    except DatabaseError as error:
        return Component(name="Background work", status="degraded", detail=str(error)[:200])
    told = f"{files} files on their way in, {running} plans under way"
    return Component(name="Background work", status="ok", detail=told)


def _server(name: str, url: str) -> Component:
    try:
        with urlopen(url, timeout=_WAIT_SECONDS) as answer:  # noqa: S310
            status: Health = "ok" if answer.status == 200 else "degraded"
            return Component(name=name, status=status, detail=f"answers with {answer.status}")
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        return Component(name=name, status="down", detail=f"does not answer: {reason}")


def _disk(services: Services) -> Component:
    found = shutil.disk_usage(services.parts.settings.path())
    told = f"{found.free / 2**30:.1f} GiB of {found.total / 2**30:.0f} GiB free"
    return _enough("Disk", found.free >= LOW_DISK, told)


def _memory() -> Component:
    found, own = psutil.virtual_memory(), psutil.Process().memory_info().rss
    told = f"{found.available / 2**30:.1f} GiB free; this server uses {own / 2**20:.0f} MiB"
    return _enough("Memory", found.available >= LOW_MEMORY, told)


def _enough(name: str, enough: bool, told: str) -> Component:
    return Component(name=name, status="ok" if enough else "degraded", detail=told)
