"""Report: what the store says of quality and performance, as one verdict and its reasons."""

from datetime import datetime
from typing import Any

from llm_pipeline.gates.suites import SUITES
from llm_pipeline.store import activity, alerts, log, mappings, models, quality
from llm_pipeline.store.engine import Session


def report_quality(session: Session, actor: str, at: datetime) -> quality.Report:
    """Write the quality report: newest result of every gate, rows set aside, open alerts."""
    results = {suite: quality.latest_gate(session, suite) for suite in SUITES}
    checked = {suite: result for suite, result in results.items() if result is not None}
    failed = sorted(suite for suite, result in checked.items() if not result.success)
    received = activity.last_received(session)
    content: dict[str, Any] = {
        "gates": {
            suite: {
                "success": result.success,
                "severity": result.severity,
                "rows": result.rows,
                "checked_at": result.checked_at.isoformat(),
                "failures": result.failures,
            }
            for suite, result in checked.items()
        },
        "never_checked": sorted(suite for suite, result in results.items() if result is None),
        "mappings": mappings.counts(session),
        "rows_set_aside": activity.total(session, activity.SET_ASIDE),
        "open_alerts": len(alerts.open_alerts(session)),
        "last_submission_at": received.isoformat() if received else None,
    }
    verdict = f"failed: {', '.join(failed)}" if failed else "every checked gate passes"
    return quality.record_report(
        session, "quality", log.latest(session), verdict, content, actor, at
    )


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
