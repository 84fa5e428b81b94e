"""LLM Center: targets leave the catalogue, are merged or renamed; the impact is shown first."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from llm_pipeline.api.auth import Admin, Caller, Viewer
from llm_pipeline.api.deps import Given, Services, Word
from llm_pipeline.api.schemas import Filled, Incoming, TargetOut
from llm_pipeline.steps.retire import Order, Retired, rename, restore, retire
from llm_pipeline.store import catalogue, moving
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-center/targets", tags=["LLM Center"])

_SEEN = "of the impact that was shown; 409 if something has changed since"


class Leave(Incoming):
    """A target to retire; with `into`, its mappings become that target's, else they wait again."""

    key: Filled
    into: Filled | None = None
    token: Word = Field(description=_SEEN)
    reason: Word = ""


class Rename(Incoming):
    """A target to give another key; name, category and attributes stay, mappings follow."""

    key: Filled
    to: Filled
    token: Word = Field(description=_SEEN)
    reason: Word = ""


class Restore(Incoming):
    """A retired target to choose again; mappings that moved stay where they are."""

    key: Filled


class ImpactOut(BaseModel):
    """What hangs on a target: mappings and their submissions by status, and newest live texts."""

    target: TargetOut
    live: int
    waiting: int
    mappings: dict[str, int]
    rows: dict[str, int]
    examples: list[str]
    token: str


class Left(BaseModel):
    """A target that left: how many live mappings moved or wait again, how many waiting changed."""

    target: TargetOut
    moved: int
    reopened: int
    waiting: int

    @classmethod
    def of(cls, services: Services, key: str, done: Retired) -> Self:
        with services.parts.read() as session:
            target = TargetOut.of(catalogue.get(session, key))
        return cls(target=target, moved=done.moved, reopened=done.reopened, waiting=done.waiting)


@router.get("/impact", summary="What retiring, merging or renaming a target would change")
def get_impact(services: Given, _caller: Viewer, key: Annotated[Word, Query()]) -> ImpactOut:
    with services.parts.read() as session:
        entry = catalogue.get(session, key)
        found = moving.impact(session, entry.id)
    return ImpactOut(
        target=TargetOut.of(entry),
        live=found.live,
        waiting=found.waiting,
        mappings=found.mappings,
        rows=found.rows,
        examples=found.examples,
        token=found.token,
    )


@router.post("/retire", summary="Retire a target, or merge it into another one")
def post_retire(services: Given, caller: Admin, body: Leave) -> Left:
    done = retire(services.parts.database, _order(caller, body, body.into), now)
    services.live.catch_up()
    return Left.of(services, body.key, done)


@router.post("/rename", summary="Give a target another key")
def post_rename(services: Given, caller: Admin, body: Rename) -> Left:
    done = rename(services.parts.database, _order(caller, body, body.to), now)
    services.live.catch_up()
    return Left.of(services, body.to, done)


@router.post("/restore", summary="Let a retired target be chosen again")
def post_restore(services: Given, caller: Admin, body: Restore) -> TargetOut:
    with services.parts.begin() as session:
        restore(session, body.key, caller.user, now())
        entry = catalogue.get(session, body.key)
    services.live.catch_up()
    return TargetOut.of(entry)


def _order(caller: Caller, body: Leave | Rename, into: str | None) -> Order:
    return Order(body.key, into, body.token, caller.user, body.reason)
