"""What `llm-pipeline doctor` looks at: every component, and whether the champion can be loaded."""

from dataclasses import dataclass

from llm_pipeline.domain.health import Health
from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.health import here, servers
from llm_pipeline.health.looking import Check, Looker
from llm_pipeline.store import alerts, models
from llm_pipeline.store.state import UNAVAILABLE
from llm_pipeline.wiring import Parts

# Nobody waits for a page here, and a cold start of MLflow's client takes seconds.
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part, and what to do if it is not well."""

    part: str
    ok: bool
    told: str


def examine(parts: Parts) -> list[Finding]:
    """Look at every component and return what was found; one that is down hides no other."""
    checks: list[Check] = [*here.checks(parts), *servers.checks(parts.settings)]
    seen = Looker(checks, PATIENCE_SECONDS).look()
    found = [
        Finding(one.component, one.status is Health.OK, one.reason or one.detail) for one in seen
    ]
    try:
        return [*found, _champion(parts), _alerts(parts)]
    except UNAVAILABLE:
        return found  # `Database` says so


def _champion(parts: Parts) -> Finding:
    with parts.read() as session:
        champion = models.champion(session)
    if champion is None:
        return Finding("Champion", ok=False, told="no model yet: run `llm-pipeline train`")
    try:
        parts.load_model(champion.version)
    except ModelUnavailable as error:
        return Finding("Champion", ok=False, told=str(error))
    alias = parts.registry.champion()
    told = f"version {champion.version} loads; MLflow's alias champion is at {alias}"
    return Finding("Champion", alias == champion.version, told)


def _alerts(parts: Parts) -> Finding:
    with parts.read() as session:
        found = alerts.open_alerts(session)
    told = "; ".join(alert.message for alert in found) or "none open"
    return Finding("Alerts", not found, told)
