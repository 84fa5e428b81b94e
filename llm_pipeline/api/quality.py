"""Data Management: quality that others measure."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, FiniteFloat

from llm_pipeline.api.auth import Admin
from llm_pipeline.api.deps import Given, Moment, Word
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.steps.post_quality import Checked, post_quality
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-data", tags=["Data Management"])

Named = Annotated[Word, Field(min_length=1, max_length=100)]


class QualityMetrics(Incoming):
    """What a suite came to elsewhere, with the numbers that say so."""

    suite: Named
    success: bool
    metrics: dict[Named, FiniteFloat] = Field(default={}, max_length=100)
    at: Moment | None = None


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
