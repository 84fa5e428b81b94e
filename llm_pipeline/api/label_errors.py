"""ML Dashboard: approved labels that the rest speaks against, for review."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel

from llm_pipeline.api.auth import Reviewer, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.api.schemas import MappingOut
from llm_pipeline.steps.uphold import uphold
from llm_pipeline.store import label_errors, mappings
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/ml/label-errors", tags=["ML Dashboard"])


class ExampleOut(BaseModel):
    """A text like the doubted one that has the suggested target."""

    text: str
    target: str


class LabelErrorOut(BaseModel):
    """A doubted label. `score` is the logarithm of how many times more the rest speaks for
    `suggested_target`; `version` is what a decision about the mapping has to name."""

    mapping_id: int
    text: str
    target: str
    suggested_target: str
    score: float
    reason: str
    examples: list[ExampleOut]
    rows: int
    version: int
    found_offset: int
    found_at: datetime

    @classmethod
    def of(cls, stored: label_errors.LabelError) -> Self:
        same = {name: getattr(stored, name) for name in cls.model_fields if name != "examples"}
        return cls(**same, examples=[ExampleOut(**example) for example in stored.examples])


@router.get("", summary="Labels that are probably wrong, the surest first")
def list_label_errors(
    services: Given, _caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[LabelErrorOut]:
    with services.parts.read() as session:
        found = label_errors.page(session, row_position(cursor), limit + 1)
        total = label_errors.count(session)
    return page_of(found, limit, LabelErrorOut.of, total)


@router.post("/{mapping_id}/dismiss", summary="The label is right: do not list it again")
def dismiss_label_error(services: Given, caller: Reviewer, mapping_id: RowId) -> MappingOut:
    with services.parts.begin() as session:
        uphold(session, mapping_id, caller.user, now())
        stored = mappings.get(session, mapping_id)
    return MappingOut.of(stored)
