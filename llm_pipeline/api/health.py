"""Whether this process is up, and whether it can do its work; for supervisors, without sign-in."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from llm_pipeline.api.deps import Given
from llm_pipeline.api.errors import Problem
from llm_pipeline.store import log, state

router = APIRouter(tags=["Health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """The database answers and is migrated; `model_problem` says why a champion does not serve."""

    status: Literal["ready"] = "ready"
    offset: int
    model_version: str
    model_offset: int
    model_problem: str


@router.get("/healthz", summary="The process is up")
def healthz() -> Alive:
    return Alive()


@router.get(
    "/readyz", summary="The database answers and is migrated", responses={503: {"model": Problem}}
)
def readyz(services: Given) -> Ready:
    with services.parts.read() as session:
        if not state.is_migrated(session):
            raise HTTPException(503, "the database is not migrated; restart the API")
        offset = log.latest(session)
    serving = services.live.serving
    return Ready(
        offset=offset,
        model_version=serving.version,
        model_offset=serving.offset,
        model_problem=serving.problem,
    )
