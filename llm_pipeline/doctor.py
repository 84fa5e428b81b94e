"""What `llm-pipeline doctor` looks at: each part of the installation, tried and not assumed."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.processes import answers
from llm_pipeline.store import alerts, catalogue, log, mappings, models, uploads
from llm_pipeline.wiring import Parts, now

LEAST_FREE_BYTES = 2 * 1024**3
STUCK_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part, and what to do if it is not well."""

    part: str
    ok: bool
    told: str


def examine(parts: Parts) -> list[Finding]:
    """Try every part and return what was found; a part that is down hides no other."""
    checks: list[Callable[[Parts], Finding]] = [_disk, _store, _uploads, _champion, _alerts]
    settings = parts.settings
    servers = {
        "API": f"{settings.api_url}/readyz",
        "Dagster": f"{settings.dagster_url}/server_info",
        "MLflow server": f"{settings.mlflow_url}/health",
    }
    return [check(parts) for check in checks] + [_server(n, url) for n, url in servers.items()]


def _disk(parts: Parts) -> Finding:
    free = shutil.disk_usage(parts.settings.path()).free
    told = f"{free / 1024**3:.1f} GiB free in {parts.settings.path()}"
    return Finding("disk", free >= LEAST_FREE_BYTES, told)


def _store(parts: Parts) -> Finding:
    with parts.read() as session:
        counts = mappings.counts(session)
        told = (
            f"{parts.engine.dialect.name}, offset {log.latest(session)}, "
            f"{catalogue.count(session)} targets, {sum(counts.values())} mappings "
            f"({counts['pending']} wait)"
        )
    return Finding("store", ok=True, told=told)


def _uploads(parts: Parts) -> Finding:
    with parts.read() as session:
        found = uploads.unfinished(session)
    stuck = [one for one in found if one.updated_at < now() - STUCK_AFTER]
    told = ", ".join(
        f"upload {one.id} ({one.filename}) stands at row {one.rows_read}" for one in stuck
    )
    way_on = "; send the file again, or start the API: it goes on where it stopped"
    return Finding("uploads", not stuck, told + way_on if stuck else f"{len(found)} running")


def _champion(parts: Parts) -> Finding:
    with parts.read() as session:
        champion = models.champion(session)
    if champion is None:
        return Finding("champion", ok=False, told="no model yet: run `llm-pipeline train`")
    try:
        parts.load_model(champion.version)
    except ModelUnavailable as error:
        return Finding("champion", ok=False, told=str(error))
    alias = parts.registry.champion()
    told = f"version {champion.version} loads; MLflow's alias champion is at {alias}"
    return Finding("champion", alias == champion.version, told)


def _alerts(parts: Parts) -> Finding:
    with parts.read() as session:
        found = alerts.open_alerts(session)
    told = "; ".join(alert.message for alert in found) or "none open"
    return Finding("alerts", not found, told)


def _server(name: str, url: str) -> Finding:
    if answers(url):
        return Finding(name, ok=True, told=f"{url} answers")
    return Finding(name, False, f"{url} does not answer; start everything with `llm-pipeline up`")
