"""Report: what the store says of quality and performance, as one verdict and its reasons."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from llm_pipeline.domain.stream_drift import DataDrift, compare_data
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.store import (
    activity,
    alerts,
    freshness,
    label_errors,
    log,
    mappings,
    models,
    quality,
    stream_sample,
)
from llm_pipeline.store.engine import Session
from llm_pipeline.store.freshness import Freshness

DRIFT_RULE = "data_drift"
WEEK, WEEKS_BEFORE = timedelta(days=7), 8
A_WEEK = 5_000  # submissions of a week that are looked at
SHOWN = 20  # words and targets whose shares are kept


def report_quality(session: Session, actor: str, at: datetime) -> quality.Report:
    """Write the quality report: newest result of every gate, drift, labels in doubt, freshness.

    Raises the alert `data_drift` where what arrives is unlike what came before, and resolves it.
    """
    results = {suite: quality.latest_gate(session, suite) for suite in SUITES}
    checked = {suite: result for suite, result in results.items() if result is not None}
    drift = _data_drift(session, at)
    fresh = freshness.look(session, at)
    _tell(session, drift, actor, at)
    received = activity.last_received(session)
    content: dict[str, Any] = {
        "gates": {suite: _gate(result) for suite, result in checked.items()},
        "never_checked": sorted(suite for suite, result in results.items() if result is None),
        "drift": _drift(drift),
        "label_errors": label_errors.count(session),
        "freshness": [_freshness(one) for one in fresh],
        "mappings": mappings.counts(session),
        "rows_set_aside": activity.total(session, activity.SET_ASIDE),
        "open_alerts": len(alerts.open_alerts(session)),
        "last_submission_at": received.isoformat() if received else None,
    }
    verdict = _verdict(checked.values(), drift, fresh)
    return quality.record_report(
        session, "quality", log.latest(session), verdict, content, actor, at
    )


def _data_drift(session: Session, at: datetime) -> DataDrift:
    """The last week beside the weeks before; each text is new or not as seen from its own week."""
    edges = [at - number * WEEK for number in range(WEEKS_BEFORE + 2)]
    weeks = [stream_sample.seen(session, low, high, A_WEEK) for high, low in pairwise(edges)]
    return compare_data([one for week in weeks[1:] for one in week], weeks[0])


def _tell(session: Session, drift: DataDrift, actor: str, at: datetime) -> None:
    if drift.large:
        message = f"the last week is unlike those before: {drift.explain()}"
        found = alerts.Finding(DRIFT_RULE, "submissions", "warning", message)
        alerts.tell(session, found, actor, at)
    else:
        alerts.settle(session, DRIFT_RULE, "submissions", actor, at)


def _verdict(
    checked: Iterable[quality.StoredGateResult], drift: DataDrift, fresh: Iterable[Freshness]
) -> str:
    """The worst that is to be said, in the order in which it needs somebody."""
    told = {
        "failed": sorted(one.suite for one in checked if not one.success),
        "drifted": [part.name for part in drift.large],
        "stale": [one.what for one in fresh if one.is_stale],
        "warned": sorted(one.suite for one in checked if one.success and one.failures),
    }
    said = [f"{word}: {', '.join(names)}" for word, names in told.items() if names]
    return "; ".join(said) or "every checked gate passes"


def _gate(result: quality.StoredGateResult) -> dict[str, Any]:
    return {
        "success": result.success,
        "severity": result.severity,
        "rows": result.rows,
        "checked_at": result.checked_at.isoformat(),
        "failures": result.failures,
        "figures": result.figures,
    }


def _drift(found: DataDrift) -> dict[str, Any]:
    parts = [
        {
            "name": part.name,
            "measure": part.measure,
            "value": part.value,
            "limit": part.limit,
            "large": part.is_large,
            "told": part.explain(),
            "shares": part.shares[:SHOWN],
        }
        for part in found.parts
    ]
    return {
        "recent": found.recent,
        "before": found.before,
        "told": found.explain(),
        "parts": parts,
    }


def _freshness(one: Freshness) -> dict[str, Any]:
    return {
        "what": one.what,
        "at": one.at.isoformat() if one.at else None,
        "newest": one.newest.isoformat() if one.newest else None,
        "limit_hours": one.limit.total_seconds() / 3600,
        "stale": one.is_stale,
    }


def report_performance(session: Session, actor: str, at: datetime) -> quality.Report:
    """Write the performance report: every model's held-out metrics, and reviewers' agreement."""
    champion = models.champion(session)
    content: dict[str, Any] = {
        "champion": champion.version if champion else None,
        "models": [
            {
                "version": model.version,
                "status": model.status,
                "as_of": model.as_of,
                "reason": model.reason,
                **model.metrics,
            }
            for model in models.history(session)
        ],
        "agreement": [
            {
                "model_version": found.model_version,
                "decided": found.decided,
                "agreed": found.agreed,
                "mean_probability": found.mean_probability,
            }
            for found in activity.agreement(session)
        ],
    }
    verdict = (
        f"champion {champion.version}: {champion.metrics['accuracy']:.3f} right on the stream, "
        f"{champion.metrics['unseen_accuracy']:.3f} on held-out texts"
        if champion
        else "no model answers yet"
    )
    return quality.record_report(
        session, "performance", log.latest(session), verdict, content, actor, at
    )
