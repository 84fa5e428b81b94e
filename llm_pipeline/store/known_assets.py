"""What the store itself knows of Dagster's assets: when each was made last, where that is kept."""

from datetime import datetime

from sqlalchemy.orm import Session

from llm_pipeline.store import activity, models, policies, quality, training

_REPORTS = {
    "quality_report": "quality",
    "performance_report": "performance",
    "model_evaluation": "evaluation",
    "insights": "insights",
}


def made_at(session: Session) -> dict[str, datetime]:
    """Return when each asset was made last, but for those that leave no trace of their own."""
    newest = models.history(session, 1)
    champion, policy = models.champion(session), policies.in_force(session)
    built = training.latest_training_set(session)
    found = {
        "submissions": activity.last_received(session),
        "training_set": built.built_at if built else None,
        "trained_model": newest[0].trained_at if newest else None,
        "champion_model": champion.promoted_at if champion else None,
        "approval_policy": policy.created_at if policy else None,
    }
    for asset, kind in _REPORTS.items():
        report = quality.latest_report(session, kind)
        found[asset] = report.written_at if report else None
    return {asset: at for asset, at in found.items() if at is not None}
