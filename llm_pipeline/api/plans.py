"""LLM Center: one action over all mappings that a filter matches, previewed, applied, undone."""

from fastapi import APIRouter

from llm_pipeline.api.auth import Reviewer, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId, Services
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.api.plan_schemas import LeftOut, NewPlan, PlanHash, PlanOut, PlanPreview
from llm_pipeline.steps.apply_plan import begin_apply, begin_undo, cancel
from llm_pipeline.steps.plan import Request, plan
from llm_pipeline.store import plans
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-center/plans", tags=["LLM Center"])


def _shown(services: Services, plan_id: int) -> PlanPreview:
    with services.parts.read() as session:
        stored = plans.get(session, plan_id)
    return PlanPreview.of(stored, **stored.preview)


@router.post("", status_code=201, summary="Preview an action over all that a filter matches")
def post_plan(services: Given, caller: Reviewer, body: NewPlan) -> PlanPreview:
    request = Request(body.action, caller.user, body.wanted(), body.target, body.reason)
    return _shown(services, plan(services.parts.database, request, now))


@router.get("", summary="Plans, newest first")
def list_plans(
    services: Given, _caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[PlanOut]:
    with services.parts.read() as session:
        found = plans.page(session, row_position(cursor), limit + 1)
        total = plans.count(session)
    return page_of(found, limit, PlanOut.of, total)


@router.get("/{plan_id}", summary="One plan: its preview and how far it came")
def get_plan(services: Given, _caller: Viewer, plan_id: RowId) -> PlanPreview:
    return _shown(services, plan_id)


@router.post("/{plan_id}/apply", status_code=202, summary="Do exactly what the preview froze")
def post_apply(services: Given, caller: Reviewer, plan_id: RowId, body: PlanHash) -> PlanOut:
    with services.parts.begin() as session:
        stored = begin_apply(session, plan_id, body.hash, caller.user, now())
    services.plans.put(plan_id)
    return PlanOut.of(stored)


@router.post("/{plan_id}/undo", status_code=202, summary="Take a plan back, with what it caused")
def post_undo(services: Given, caller: Reviewer, plan_id: RowId) -> PlanOut:
    with services.parts.begin() as session:
        stored = begin_undo(session, plan_id, caller.user, now())
    services.plans.put(plan_id)
    return PlanOut.of(stored)


@router.post("/{plan_id}/cancel", summary="Stop applying a plan; what is done can be undone")
def post_cancel(services: Given, caller: Reviewer, plan_id: RowId) -> PlanOut:
    with services.parts.begin() as session:
        return PlanOut.of(cancel(session, plan_id, caller.user, now()))


@router.get("/{plan_id}/left", summary="What a plan left alone, in applying or in undoing, and why")
def list_left(
    services: Given,
    _caller: Viewer,
    plan_id: RowId,
    undoing: bool = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[LeftOut]:
    with services.parts.read() as session:
        stored = plans.get(session, plan_id)
        after = row_position(cursor) or 0
        found = plans.leftovers(session, plan_id, undoing=undoing, after=after, limit=limit + 1)
    total = stored.kept if undoing else stored.changed_since
    return page_of(found, limit, LeftOut.model_validate, total, place="mapping_id")
