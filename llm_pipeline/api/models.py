"""ML Dashboard: the models that were trained, and which of them is to answer."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import RedirectResponse

from llm_pipeline.api.auth import Admin, Caller, Viewer
from llm_pipeline.api.deps import Given, Services, Word
from llm_pipeline.api.ml import ModelOut
from llm_pipeline.api.paging import Page
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.steps.promote import promote
from llm_pipeline.store import models
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/ml", tags=["ML Dashboard"])

NEWEST = 100
Version = Annotated[Word, Path(description="a version of the registered model")]


class Why(Incoming):
    """The reason for a change, for the log and MLflow."""

    reason: Word = "by hand"


class ModelDetail(ModelOut):
    """A model, and the page of its run in MLflow where MLflow has pages."""

    run_url: str | None


@router.get("/models", summary="The newest models")
def list_models(services: Given, _caller: Viewer) -> Page[ModelOut]:
    with services.parts.read() as session:
        found = [ModelOut.of(one) for one in models.history(session, NEWEST)]
    return Page(items=found, next_cursor=None, total=len(found), total_is_exact=len(found) < NEWEST)


@router.get("/models/{version}", summary="One model")
def get_model(services: Given, _caller: Viewer, version: Version) -> ModelDetail:
    with services.parts.read() as session:
        found = ModelOut.of(models.get(session, version))
    return ModelDetail(**found.model_dump(), run_url=services.parts.registry.run_url(found.run_id))


@router.get("/models/{version}/run", status_code=307, summary="To the model's run in MLflow")
def get_run(services: Given, _caller: Viewer, version: Version) -> RedirectResponse:
    with services.parts.read() as session:
        found = models.get(session, version)
    url = services.parts.registry.run_url(found.run_id)
    if url is None:
        raise NotFound("MLflow has no pages here: its tracking store is no server")
    return RedirectResponse(url)


@router.post("/models/{version}/promote", summary="Let a version answer, whatever was compared")
def post_promote(services: Given, caller: Admin, version: Version, body: Why) -> ModelOut:
    return _promote(services, caller, version, body.reason)


@router.post("/rollback", summary="Let the champion before this one answer again")
def post_rollback(services: Given, caller: Admin, body: Why) -> ModelOut:
    with services.parts.read() as session:
        former = models.former(session)
    if former is None:
        raise Conflict("there is no earlier champion to go back to")
    return _promote(services, caller, former.version, f"rolled back: {body.reason}")


def _promote(services: Services, caller: Caller, version: str, reason: str) -> ModelOut:
    with services.parts.begin() as session:
        promote(session, services.parts.registry, version, reason, caller.user, now())
        found = models.get(session, version)
    services.live.catch_up()
    return ModelOut.of(found)
