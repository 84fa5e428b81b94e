"""How old an asset may get: of those that the clock makes; the others are made when there is need.

Dagster's daemon judges them; the API shows what it says.
"""

from collections.abc import Iterable
from datetime import timedelta

from dagster import AssetsDefinition, AssetSpec, FreshnessPolicy, apply_freshness_policy

_HOURLY = FreshnessPolicy.time_window(
    warn_window=timedelta(hours=2), fail_window=timedelta(hours=4)
)
_DAILY = FreshnessPolicy.time_window(
    warn_window=timedelta(hours=26), fail_window=timedelta(hours=50)
)
_WEEKLY = FreshnessPolicy.time_window(warn_window=timedelta(days=8), fail_window=timedelta(days=15))
POLICIES = {
    "quality_report": _HOURLY,
    "insights": _HOURLY,
    "drift": _HOURLY,
    "approved_mappings": _DAILY,
    "training_set": _DAILY,
    "trained_model": _DAILY,
    "champion_model": _DAILY,
    "performance_report": _DAILY,
    "model_evaluation": _DAILY,
    "approval_policy": _DAILY,
    "forgotten": _DAILY,
    "label_errors": _WEEKLY,
}


def with_freshness(assets: Iterable[AssetsDefinition]) -> list[AssetsDefinition]:
    """Return the assets with their policies."""
    return [one.map_asset_specs(_add) for one in assets]


def _add(spec: AssetSpec) -> AssetSpec:
    policy = POLICIES.get(spec.key.to_user_string())
    return spec if policy is None else apply_freshness_policy(spec, policy)
