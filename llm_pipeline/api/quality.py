"""Data Management: quality that others measure, the rows that gates name, and reports."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, FiniteFloat

from llm_pipeline.api.auth import Admin, Viewer
from llm_pipeline.api.data import ReportOut
from llm_pipeline.api.deps import Cursor, Given, Happened, Limit, Named, RowId
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.api.schemas import FromStore, Incoming
from llm_pipeline.model.quality_plots import quality_picture
from llm_pipeline.steps.post_quality import Checked, post_quality
from llm_pipeline.store import failing_rows, quality
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-data", tags=["Data Management"])


class QualityMetrics(Incoming):
    """What a suite came to elsewhere, with the numbers that say so."""

    suite: Named
    success: bool
    metrics: dict[Named, FiniteFloat] = Field(default={}, max_length=100)
    at: Happened | None = None


class QualityTaken(BaseModel):
    """What was taken in; a failure stops automatic approval until the suite succeeds again."""

    suite: str
    success: bool
    automation_stopped: bool


@router.post(
    "/update-quality-metrics", status_code=202, summary="Post what a suite came to elsewhere"
)
def update_quality_metrics(services: Given, caller: Admin, body: QualityMetrics) -> QualityTaken:
    at = now()
    checked = Checked(body.suite, body.success, body.metrics, body.at or at)
    with services.parts.begin() as session:
        stopped = post_quality(session, checked, caller.user, at)
    return QualityTaken(suite=body.suite, success=body.success, automation_stopped=stopped)


class FailingRowOut(FromStore):
    """A row that a gate named: what it is, its key there, why, and the value that broke a rule."""

    id: int
    kind: str
    key: str
    reason: str
    severity: str
    value: str


class WrittenReport(ReportOut):
    """A report with the id by which its picture is asked for."""

    id: int


Kind = Literal["quality", "performance", "evaluation", "insights"]


@router.get("/quality/{result_id}/rows", summary="The rows that a gate result names, in pages")
def list_failing_rows(
    services: Given, _caller: Viewer, result_id: RowId, limit: Limit = 50, cursor: Cursor = None
) -> Page[FailingRowOut]:
    with services.parts.read() as session:
        found = failing_rows.page(session, result_id, row_position(cursor), limit + 1)
        total = failing_rows.count(session, result_id)
    return page_of(found, limit, FailingRowOut.model_validate, total)


@router.get("/reports", summary="Reports of a kind, newest first")
def list_reports(
    services: Given,
    _caller: Viewer,
    kind: Kind = "quality",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[WrittenReport]:
    with services.parts.read() as session:
        found = quality.report_page(session, kind, row_position(cursor), limit + 1)
        total = quality.report_count(session, kind)
    return page_of(found, limit, WrittenReport.model_validate, total)


@router.get(
    "/reports/{report_id}/picture",
    summary="What drifted, as a picture",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def get_picture(services: Given, _caller: Viewer, report_id: RowId) -> Response:
    with services.parts.read() as session:
        found = quality.get_report(session, report_id)
    return Response(quality_picture(found.content), media_type="image/png")
