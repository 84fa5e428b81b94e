"""How the pipeline is, asset by asset: by Dagster's account, and by what the store knows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from llm_pipeline import dagster_status
from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.api.state import GateOut
from llm_pipeline.domain.health import Health, worst
from llm_pipeline.health.servers import WEBSERVER
from llm_pipeline.orchestrator import NO_ANSWER, why
from llm_pipeline.store import known_assets, state

router = APIRouter(tags=["Data Management"])

ASK_SECONDS = 2.0
_STALE = {"WARNING": "it is getting old", "DEGRADED": "it is too old"}


class CheckOut(BaseModel):
    """What a check of the newest materialisation came to; `success` is null if it did not run."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    blocking: bool
    success: bool | None
    severity: str
    ran_at: datetime | None
    run_id: str | None
    told: str


class AssetOut(BaseModel):
    """An asset: `freshness` is Dagster's word (HEALTHY, WARNING, DEGRADED, UNKNOWN; null without a
    policy), `stored_at` when the store has something newer of it to show."""

    name: str
    group: str
    status: Health
    reasons: list[str]
    materialized_at: datetime | None
    run_id: str | None
    stored_at: datetime | None
    freshness: str | None
    fresh_seconds: int | None
    checks: list[CheckOut]
    needs: list[str]


class PipelineHealth(BaseModel):
    """How the pipeline is. Without an answer of Dagster `dagster` says why, and the assets are
    those that the store knows of, with the times and gates that it has."""

    status: Health
    reasons: list[str]
    dagster: str
    assets: list[AssetOut]
    gates: list[GateOut]


@router.get("/api/llm-data/get-pipeline-health", summary="How the pipeline is, asset by asset")
def get_pipeline_health(services: Given, _caller: Viewer) -> PipelineHealth:
    with services.parts.read() as session:
        stored, gates = known_assets.made_at(session), state.latest_gates(session)
    held = [
        f"the gate {gate.suite} failed: it holds what comes after it"
        for gate in gates
        if not gate.success and gate.severity == "critical"
    ]
    found, why = _asked(services)
    if found is None:
        reasons = [f"Dagster does not answer: {why}. What follows is what the store knows", *held]
        assets = [_from_store(name, at) for name, at in sorted(stored.items())]
        status = Health.DOWN if held else Health.DEGRADED
    else:
        assets = [_judged(one, stored) for one in found]
        reasons = held + [f"{one.name}: {why}" for one in assets for why in one.reasons]
        status = worst([one.status for one in assets] + [Health.DOWN for _ in held])
    return PipelineHealth(
        status=status,
        reasons=reasons,
        dagster="answers" if found is not None else why,
        assets=assets,
        gates=[GateOut.model_validate(gate) for gate in gates],
    )


def _asked(services: Services) -> tuple[list[dagster_status.Asset] | None, str]:
    """Ask Dagster, unless it is known to be down: nobody should wait for that again."""
    for one in services.watcher.standing():
        if one.component == WEBSERVER and one.status is Health.DOWN:
            return None, one.reason
    try:
        return dagster_status.assets(services.parts.settings.dagster_url, ASK_SECONDS), ""
    except NO_ANSWER as error:
        return None, why(error)


def _judged(asset: dagster_status.Asset, stored: Mapping[str, datetime]) -> AssetOut:
    wrong: list[tuple[Health, str]] = []
    for check in asset.checks:
        # A challenger that is no better is an answer, and nothing is wrong.
        if check.success is False and check.name.startswith("gate_"):
            is_down = check.severity == "ERROR"
            status = Health.DOWN if is_down else Health.DEGRADED
            wrong.append((status, f"its check {check.name} failed. {check.told}".strip()))
    if asset.freshness in _STALE:
        hours = f"{(asset.fresh_seconds or 0) / 3600:.0f}"
        told = f"{_STALE[asset.freshness]}: it should be made every {hours} hours at least"
        wrong.append((Health.DEGRADED, told))
    if asset.failed_run is not None:
        wrong.append((Health.DEGRADED, f"run {asset.failed_run} failed since it was made"))
    return AssetOut(
        status=worst([status for status, _ in wrong]),
        reasons=[told for _, told in wrong],
        stored_at=stored.get(asset.name),
        checks=[CheckOut.model_validate(check) for check in asset.checks],
        **_same(asset),
    )


def _same(asset: dagster_status.Asset) -> dict[str, Any]:
    names = ("name", "group", "materialized_at", "run_id", "freshness", "fresh_seconds", "needs")
    return {name: getattr(asset, name) for name in names}


def _from_store(name: str, at: datetime) -> AssetOut:
    return AssetOut(
        name=name,
        group="",
        status=Health.DEGRADED,
        reasons=["known from the store only"],
        materialized_at=None,
        run_id=None,
        stored_at=at,
        freshness=None,
        fresh_seconds=None,
        checks=[],
        needs=[],
    )
