"""LLM Center: the catalogue of targets."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.exceptions import RequestValidationError

from llm_pipeline.api.auth import Admin, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, Word
from llm_pipeline.api.paging import Page, page_of, position_of
from llm_pipeline.api.schemas import Loaded, NewTarget, TargetOut
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import catalogue, state
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-center/targets", tags=["LLM Center"])

MAX_AT_ONCE = 10_000


@router.get("", summary="Search the catalogue, by key")
def search_targets(
    services: Given, _caller: Viewer, q: Word = "", limit: Limit = 50, cursor: Cursor = None
) -> Page[TargetOut]:
    after = "" if cursor is None else position_of(cursor)
    with services.parts.read() as session:
        found = catalogue.page(session, q, after, limit + 1)
        total = state.target_count(session, q)
    return page_of(found, limit, TargetOut.of, total, place="key")


@router.post("", summary="Create or change one target or many, by key")
def post_targets(
    services: Given, caller: Admin, body: Annotated[NewTarget | list[NewTarget], Body()]
) -> Loaded:
    entries = body if isinstance(body, list) else [body]
    if not 1 <= len(entries) <= MAX_AT_ONCE:
        raise InvalidInput(f"send 1 to {MAX_AT_ONCE} targets at once, not {len(entries)}")
    _refuse_twice(entries)
    with services.parts.begin() as session:
        loaded = load_targets(session, [one.record() for one in entries], caller.user, now())
    return Loaded(created=loaded.created, changed=loaded.changed, total=loaded.total)


def _refuse_twice(entries: list[NewTarget]) -> None:
    """Raise RequestValidationError for every entry whose key an earlier one has."""
    first: dict[str, int] = {}
    for number, entry in enumerate(entries):
        first.setdefault(entry.key, number)
    twice = [
        {
            "loc": ("body", number, "key"),
            "msg": f"the key {entry.key[:80]!r} is that of item {first[entry.key]} already",
        }
        for number, entry in enumerate(entries)
        if first[entry.key] != number
    ]
    if twice:
        raise RequestValidationError(twice)
