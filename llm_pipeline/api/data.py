"""Data Management: events, gates, alerts, and how the components are; forecasts."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from llm_pipeline.api.auth import Reviewer, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId, Word
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.api.schemas import FromStore
from llm_pipeline.api.state import AlertOut, GateOut
from llm_pipeline.domain.events import EVENTS
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.alert import acknowledge_alert
from llm_pipeline.store import alerts, log, quality, state
from llm_pipeline.wiring import now

COUNTED = 10_000  # events with given names, at most
router = APIRouter(tags=["Data Management"])

Names = Annotated[list[str] | None, Query(description="events with these names; without it all")]


class EventOut(FromStore):
    """One row of the event log."""

    offset: int
    name: str
    at: datetime
    actor: str
    payload: dict[str, Any]


class AlertDetail(AlertOut):
    """An alert that is open, or was."""

    acknowledged_at: datetime | None
    resolved_at: datetime | None


class ReportOut(FromStore):
    """A stored report."""

    kind: str
    as_of: int
    verdict: str
    content: dict[str, Any]
    written_at: datetime


class Insights(BaseModel):
    """The newest forecast, null before the first; what it says of itself is in its verdict."""

    report: ReportOut | None


@router.get("/api/llm-data/events", summary="The event log, newest first")
def list_events(
    services: Given,
    _caller: Viewer,
    name: Names = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EventOut]:
    unknown = [one for one in name or () if one not in EVENTS]
    if unknown:
        raise InvalidInput(
            f"no event is called {unknown[0][:80]!r}; there are {', '.join(sorted(EVENTS))}"
        )
    names = name or ()
    with services.parts.read() as session:
        found = log.newest(session, limit + 1, row_position(cursor), names)
        counted = log.count(session, names, COUNTED)
    total, is_exact = min(counted, COUNTED), counted <= COUNTED
    return page_of(found, limit, EventOut.model_validate, total, place="offset", is_exact=is_exact)


@router.get("/api/llm-data/quality", summary="Gate results: of a suite, else the newest of each")
def list_quality(
    services: Given, _caller: Viewer, suite: Word | None = None, limit: Limit = 50
) -> Page[GateOut]:
    with services.parts.read() as session:
        found = (
            state.latest_gates(session)
            if suite is None
            else quality.gate_history(session, suite, limit)
        )
    items = [GateOut.model_validate(one) for one in found]
    return Page(items=items, next_cursor=None, total=len(items), total_is_exact=len(items) < limit)


@router.get("/api/llm-data/alerts", summary="Alerts, newest first, with those that are over")
def list_alerts(
    services: Given, _caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[AlertDetail]:
    with services.parts.read() as session:
        found = alerts.page(session, row_position(cursor), limit + 1)
        total = alerts.count(session)
    return page_of(found, limit, AlertDetail.model_validate, total)


@router.post("/api/llm-data/alerts/{alert_id}/acknowledge", summary="Say that you saw an alert")
def post_acknowledge(services: Given, caller: Reviewer, alert_id: RowId) -> AlertDetail:
    with services.parts.begin() as session:
        found = acknowledge_alert(session, alert_id, caller.user, now())
        return AlertDetail.model_validate(found)


@router.get("/api/insights", summary="The newest forecast, and how earlier ones did")
def get_insights(services: Given, _caller: Viewer) -> Insights:
    with services.parts.read() as session:
        found = quality.latest_report(session, "insights")
    return Insights(report=None if found is None else ReportOut.model_validate(found))
