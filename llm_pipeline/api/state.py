"""The shared state of the three components in one snapshot, taken in one transaction."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.api.schemas import FromStore
from llm_pipeline.store import activity, alerts, catalogue, log, mappings, models, state, training
from llm_pipeline.store.engine import Session

router = APIRouter(tags=["Shared state"])

COUNTED = 10_000


class CenterState(BaseModel):
    """What came in, and where it stands."""

    mappings: dict[str, int]
    submissions: int
    targets: int
    uploads: int
    sample_data: bool


class MlState(BaseModel):
    """The champion, and what was approved since the last training."""

    champion: str | None
    serving: str
    as_of: int | None
    metrics: dict[str, float]
    learned_since: Annotated[int, Field(description="counted up to 10,000, or `learn_after`")]
    learn_after: int


class GateOut(FromStore):
    """The newest result of a gate; `failures` say what failed and how often, `figures` what was
    counted over all rows."""

    id: int
    suite: str
    success: bool
    severity: str
    rows: int
    checks: int
    failures: list[dict[str, Any]]
    figures: dict[str, float | None]
    as_of: int
    checked_at: datetime


class AlertOut(FromStore):
    """An open alert."""

    id: int
    rule: str
    subject: str
    severity: str
    message: str
    times: int
    raised_at: datetime
    updated_at: datetime
    acknowledged_by: str | None


class DataState(BaseModel):
    """The newest result of every gate."""

    gates: list[GateOut]


class StateOut(BaseModel):
    """Everything at one offset: a stream that goes on after it misses nothing."""

    offset: int
    center: CenterState
    ml: MlState
    data: DataState
    alerts: list[AlertOut]


@router.get("/api/llm/state", summary="The shared state in one snapshot")
def get_state(services: Given, _caller: Viewer) -> StateOut:
    with services.parts.read() as session:
        return state_of(session, services)


def state_of(session: Session, services: Services) -> StateOut:
    """Return the shared state as one transaction sees it."""
    return StateOut(
        offset=log.latest(session),
        center=_center(session),
        ml=_ml(session, services),
        data=DataState(gates=[GateOut.model_validate(g) for g in state.latest_gates(session)]),
        alerts=[AlertOut.model_validate(alert) for alert in alerts.open_alerts(session)],
    )


def _center(session: Session) -> CenterState:
    return CenterState(
        mappings=mappings.counts(session),
        submissions=activity.total(session, activity.RECEIVED),
        targets=catalogue.count(session),
        uploads=state.upload_count(session),
        sample_data=state.has_sample_data(session),
    )


def _ml(session: Session, services: Services) -> MlState:
    champion, trained = models.champion(session), models.trained_up_to(session)
    return MlState(
        champion=champion.version if champion else None,
        serving=services.live.serving.version,
        as_of=champion.as_of if champion else None,
        metrics=champion.metrics if champion else {},
        learned_since=learned_since(session, trained, services.parts.settings.learn_after),
        learn_after=services.parts.settings.learn_after,
    )


def learned_since(session: Session, since: int, learn_after: int) -> int:
    """Return how many texts were approved since an offset, counted up to `learn_after` or
    `COUNTED`, whichever is more: every page asks, and before the first training it is all there
    is."""
    return training.learned_since(session, since, max(COUNTED, learn_after)).texts
