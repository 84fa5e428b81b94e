"""How well models answer and gates pass, by version, by suite, and over time."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from llm_pipeline.api.analytics import Days, counts_by_day, first_midnight
from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given
from llm_pipeline.api.ml import ModelStatus, get_model_status
from llm_pipeline.api.schemas import FromStore
from llm_pipeline.api.state import GateOut
from llm_pipeline.steps.fit_policy import wished
from llm_pipeline.store import (
    activity,
    analytics,
    audits,
    catalogue,
    log,
    metrics,
    models,
    policies,
    quality,
    state,
    weeks,
)

router = APIRouter(tags=["Learning"])

VERSIONS = 50
Results = Annotated[int, Query(ge=1, le=1000, description="how many results of each suite")]


class AuditedOut(FromStore):
    """Answered audits that a lot drew: how many, and in how many the answer was right."""

    answered: int
    right: int


class AuditedDay(AuditedOut):
    """The same of one day (UTC)."""

    day: date


class VersionOut(BaseModel):
    """A model. Scores are of its held-out rows, null where they were not measured here;
    `coverage_at_policy_error` is the share of the stream that it could have answered at the
    policy's `max_error`, known once its evaluation has run."""

    version: str
    status: str
    trained_at: datetime
    as_of: int
    accuracy: float | None
    unseen_accuracy: float | None
    macro_f1: float | None
    calibration_error: float | None
    brier: float | None
    coverage_at_policy_error: float | None
    audits: AuditedOut


class Performance(BaseModel):
    """Every version, the newest first; the champion's way of learning over the whole stream, as
    pairs of a stretch's middle and the share right; and audits by the day."""

    offset: int
    max_error: float
    versions: list[VersionOut]
    over_time: list[tuple[str, float]]
    audited: list[AuditedDay]


class PostedOut(BaseModel):
    """A number of a suite as it was posted, the newest first."""

    name: str
    values: list[tuple[datetime, float]]


class SuiteOut(BaseModel):
    """A suite: its results, the newest first, and the numbers that were posted with them."""

    suite: str
    passes: bool
    pass_rate: float
    results: list[GateOut]
    posted: list[PostedOut]


class QualityOut(BaseModel):
    """Every suite that was ever checked, here or elsewhere."""

    offset: int
    suites: list[SuiteOut]


class MlStats(ModelStatus):
    """What the recogniser knows and which models there are, now."""

    offset: int
    targets: int
    approved_texts: int
    models: dict[str, int]
    audits_answered: int
    audits_open: int


class MlDay(BaseModel):
    """One day (UTC): decisions about texts with a suggestion, those that took it, what a policy
    approved, audits, and the models trained."""

    day: date
    suggested: int
    accepted: int
    auto_approved: int
    audits: AuditedOut
    trained: int


class MlAnalytics(BaseModel):
    """Trends of recognition: days, and for each model version how often its suggestions were taken.
    The queue chose what was decided, so that is no accuracy; audits are."""

    offset: int
    since: datetime
    days: list[MlDay]
    agreement: list["AgreementOfModel"]


class AgreementOfModel(FromStore):
    """How often reviewers took what a version had suggested."""

    model_version: str
    decided: int
    agreed: int
    mean_probability: float


@router.get("/api/learning/model-performance", summary="How well each model version does")
def get_model_performance(services: Given, _caller: Viewer) -> Performance:
    with services.parts.read() as session:
        max_error = wished(policies.in_force(session)).max_error
        evaluations = quality.report_page(session, "evaluation", None, VERSIONS)
        curves = {one.content["model_version"]: one.content["curves"] for one in evaluations}
        audited = audits.by_model(session)
        champion = models.champion(session)
        return Performance(
            offset=log.latest(session),
            max_error=max_error,
            versions=[
                _version(one, curves.get(one.version), audited.get(one.version), max_error)
                for one in models.history(session, VERSIONS)
            ],
            over_time=_over_time(curves.get(champion.version)) if champion else [],
            audited=[
                AuditedDay(day=day.day, answered=day.of, right=day.number)
                for day in weeks.audited(session)
            ],
        )


def _version(
    one: models.StoredModel,
    curves: dict[str, Any] | None,
    audited: audits.Audits | None,
    max_error: float,
) -> VersionOut:
    scores = one.metrics
    return VersionOut(
        version=one.version,
        status=one.status,
        trained_at=one.trained_at,
        as_of=one.as_of,
        accuracy=scores.get("accuracy"),
        unseen_accuracy=scores.get("unseen_accuracy"),
        macro_f1=scores.get("unseen_macro_f1"),
        calibration_error=scores.get("unseen_ece"),
        brier=scores.get("unseen_brier"),
        coverage_at_policy_error=coverage(curves["all rows"]["coverage"], max_error)
        if curves
        else None,
        audits=AuditedOut.model_validate(audited or audits.Audits(0, 0)),
    )


def coverage(points: Sequence[Sequence[float]], max_error: float) -> float:
    """Return the largest share answered at which at most `max_error` is wrong, out of pairs of the
    share answered and the share right.

    >>> coverage([(0.2, 1.0), (0.6, 0.99), (1.0, 0.9)], 0.02)
    0.6
    """
    return max((answered for answered, right in points if right >= 1 - max_error), default=0.0)


def _over_time(curves: dict[str, Any] | None) -> list[tuple[str, float]]:
    return [(at, right) for at, right in curves["all rows"]["over_time"]] if curves else []


@router.get("/api/learning/quality-metrics", summary="Results of every suite over time")
def get_quality_metrics(services: Given, _caller: Viewer, limit: Results = 50) -> QualityOut:
    with services.parts.read() as session:
        return QualityOut(
            offset=log.latest(session),
            suites=[
                _suite(newest.suite, quality.gate_history(session, newest.suite, limit), posted)
                for newest in state.latest_gates(session)
                for posted in [metrics.all_series(session, f"quality:{newest.suite}", limit)]
            ],
        )


def _suite(
    suite: str,
    results: Sequence[quality.StoredGateResult],
    posted: dict[str, list[tuple[datetime, float]]],
) -> SuiteOut:
    return SuiteOut(
        suite=suite,
        passes=results[0].success,
        pass_rate=sum(one.success for one in results) / len(results),
        results=[GateOut.model_validate(one) for one in results],
        posted=[PostedOut(name=name, values=values) for name, values in posted.items()],
    )


@router.get("/api/ml/stats", summary="What the recogniser knows, and which models there are")
def get_stats(services: Given, caller: Viewer) -> MlStats:
    status = get_model_status(services, caller)
    with services.parts.read() as session:
        return MlStats(
            **status.model_dump(),
            offset=log.latest(session),
            targets=catalogue.count(session),
            approved_texts=analytics.live(analytics.standing(session)),
            models=Counter(one.status for one in models.history(session, 1000)),
            audits_answered=audits.answered_count(session),
            audits_open=audits.open_count(session),
        )


@router.get("/api/ml/analytics", summary="Trends of recognition by the day")
def get_ml_analytics(services: Given, _caller: Viewer, days: Days = 30) -> MlAnalytics:
    since = first_midnight(days)
    with services.parts.read() as session:
        done = counts_by_day(analytics.done_since(session, since))
        audited = {day.day: day for day in weeks.audited(session)}
        trained = Counter(one.trained_at.date() for one in models.history(session, 1000))
        none = weeks.Day(since.date(), 0, 0)
        return MlAnalytics(
            offset=log.latest(session),
            since=since,
            days=[
                MlDay(
                    day=day,
                    suggested=done[day][activity.SUGGESTED],
                    accepted=done[day][activity.TAKEN],
                    auto_approved=done[day][activity.AUTO_APPROVED],
                    audits=AuditedOut(
                        answered=audited.get(day, none).of, right=audited.get(day, none).number
                    ),
                    trained=trained[day],
                )
                for day in (since.date() + timedelta(days=number) for number in range(days))
            ],
            agreement=[AgreementOfModel.model_validate(one) for one in activity.agreement(session)],
        )
