"""ML Dashboard: models one by one: promoted, rolled back, exported, imported."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import FileResponse, RedirectResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from llm_pipeline import files
from llm_pipeline.api import intake
from llm_pipeline.api.auth import Admin, Caller, Viewer
from llm_pipeline.api.deps import Given, Limit, Services, Word
from llm_pipeline.api.ml import ModelOut
from llm_pipeline.api.paging import Page
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.domain.records import Action, Status
from llm_pipeline.errors import NotFound
from llm_pipeline.model import parcel
from llm_pipeline.steps.apply_plan import begin_apply
from llm_pipeline.steps.import_model import import_model
from llm_pipeline.steps.plan import Request as Planned
from llm_pipeline.steps.plan import plan
from llm_pipeline.steps.promote import promote
from llm_pipeline.steps.rollback import previous, rollback
from llm_pipeline.store import models, plans
from llm_pipeline.store.filters import Filter
from llm_pipeline.wiring import now

IMPORT_PATH = "/api/ml/models/import"
router = APIRouter(tags=["ML Dashboard"])

Version = Annotated[str, InPath(pattern=r"^[0-9]{1,18}$", description="the version of a model")]


class ModelDetail(ModelOut):
    """A model, and the page of its run in MLflow where MLflow has pages."""

    run_url: str | None


class Promotion(Incoming):
    """Why a version is to answer."""

    reason: Word = "by hand"


class Rollback(Incoming):
    """Why the model before is to answer again; with `requeue`, what policies approved by the
    answers of the model that goes waits for people again."""

    reason: Word = ""
    requeue: bool = False


class RolledBack(BaseModel):
    """Which model answers now instead of which, and the plan that puts its approvals back."""

    champion: ModelOut
    replaced: str
    plan_id: int | None
    requeued: int


@router.get("/api/ml/models", summary="Models, newest first")
def list_models(services: Given, _caller: Viewer, limit: Limit = 50) -> Page[ModelOut]:
    with services.parts.read() as session:
        found = [ModelOut.of(one) for one in models.history(session, limit)]
    return Page(items=found, next_cursor=None, total=len(found), total_is_exact=len(found) < limit)


@router.get("/api/ml/models/{version}", summary="One model")
def get_model(services: Given, _caller: Viewer, version: Version) -> ModelDetail:
    with services.parts.read() as session:
        found = ModelOut.of(models.get(session, version))
    return ModelDetail(**found.model_dump(), run_url=services.parts.registry.run_url(found.run_id))


@router.get("/api/ml/models/{version}/run", status_code=307, summary="To the model's run in MLflow")
def get_run(services: Given, _caller: Viewer, version: Version) -> RedirectResponse:
    with services.parts.read() as session:
        found = models.get(session, version)
    url = services.parts.registry.run_url(found.run_id)
    if url is None:
        raise NotFound("MLflow has no pages here: its tracking store is no server")
    return RedirectResponse(url)


@router.post("/api/ml/models/{version}/promote", summary="Let a version answer")
def post_promote(
    services: Given, caller: Admin, version: Version, body: Promotion | None = None
) -> ModelOut:
    """Whatever the comparison said; it must be readable."""
    parts, reason = services.parts, (body or Promotion()).reason
    with parts.read() as session:
        models.get(session, version)
    parts.load_model(version)
    with parts.begin() as session:
        promote(session, parts.registry, version, reason, caller.user, now())
        stored = models.get(session, version)
    services.live.catch_up()
    return ModelOut.of(stored)


@router.post("/api/ml/rollback", summary="Let the model before answer again")
def post_rollback(services: Given, caller: Admin, body: Rollback | None = None) -> RolledBack:
    wanted, parts = body or Rollback(), services.parts
    with parts.read() as session:
        _, before = previous(session)
    parts.load_model(before.version)
    with parts.begin() as session:
        replaced = rollback(session, parts.registry, wanted.reason, caller.user, now())
        stored = models.get(session, before.version)
    services.live.catch_up()
    plan_id, number = None, 0
    if wanted.requeue:
        plan_id, number = _requeue(services, caller, replaced.version, wanted.reason)
    return RolledBack(
        champion=ModelOut.of(stored),
        replaced=replaced.version,
        plan_id=plan_id,
        requeued=number,
    )


def _requeue(services: Services, caller: Caller, version: str, reason: str) -> tuple[int, int]:
    """Put back what a model approved by a plan, which can be undone as any other."""
    approved = Filter(status=Status.AUTO_APPROVED, model=version)
    told = f"rollback of model {version}. {reason}".strip()
    wanted = Planned(Action.REOPEN, caller.user, approved, reason=told)
    plan_id = plan(services.parts.database, wanted, now)
    with services.parts.begin() as session:
        stored = plans.get(session, plan_id)
        begin_apply(session, plan_id, stored.digest, caller.user, now())
    services.plans.put(plan_id)
    return plan_id, stored.count


@router.get(
    "/api/ml/models/{version}/export",
    summary="A model as one file",
    response_class=FileResponse,
)
def export_model(services: Given, _caller: Admin, version: Version) -> FileResponse:
    parts = services.parts
    with parts.read() as session:
        models.get(session, version)
    parts.load_model(version)
    kept = parts.registry.bundle(version, parts.settings.path("models"))
    folder = tempfile.TemporaryDirectory(prefix="export-", dir=parts.settings.path())
    path = Path(folder.name) / f"recognizer-{version}.zip"
    parcel.pack(kept, path)
    done = BackgroundTask(folder.cleanup)
    return FileResponse(path, media_type="application/zip", filename=path.name, background=done)


@router.post(
    IMPORT_PATH,
    status_code=201,
    summary="Register a model from another installation",
    openapi_extra=intake.form_schema(Incoming, "what export gave"),
)
async def post_import(request: Request, services: Given, caller: Admin) -> ModelOut:
    """It answers nobody before it is promoted."""
    work = partial(_import, services, caller)
    return await intake.handled(request, services.worker.folder, work)


def _import(services: Services, caller: Caller, received: intake.Received) -> ModelOut:
    parts, path = services.parts, received.path
    digest = files.digest(path)
    stored = import_model(parts.database, parts.registry, path, digest, caller.user, now)
    return ModelOut.of(stored)
