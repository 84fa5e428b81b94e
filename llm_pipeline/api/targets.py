"""LLM Center: the catalogue of targets."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from llm_pipeline.api import intake
from llm_pipeline.api.auth import Admin, Caller, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, Services, Word
from llm_pipeline.api.paging import Page, page_of, position_of
from llm_pipeline.api.schemas import Incoming, Loaded, NewTarget, TargetOut
from llm_pipeline.domain.records import Target
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.load import load_targets, read_targets
from llm_pipeline.store import catalogue, state
from llm_pipeline.wiring import now

PATH = "/api/llm-center/targets"
FILE_PATH = f"{PATH}/file"
router = APIRouter(prefix=PATH, tags=["LLM Center"])

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
    return _load(services, caller, [one.record() for one in entries])


class CatalogueForm(Incoming):
    """Which columns of a catalogue hold the key and the name; `category` is used where it is there,
    all others become attributes."""

    key_column: Word = Field(default="key", min_length=1)
    name_column: Word = Field(default="name", min_length=1)


@router.post(
    "/file",
    status_code=201,
    summary="Create or change targets by key, from a CSV file",
    openapi_extra=intake.form_schema(CatalogueForm, "CSV, also .gz"),
)
async def post_target_file(request: Request, services: Given, caller: Admin) -> Loaded:
    """All of the file or nothing: a catalogue with a hole would set labels aside for weeks."""
    work = partial(_load_file, services, caller)
    return await intake.handled(request, services.worker.folder, work)


def _load_file(services: Services, caller: Caller, received: intake.Received) -> Loaded:
    form = received.form(CatalogueForm)
    entries = read_targets(received.path, form.key_column, form.name_column)
    return _load(services, caller, entries)


def _load(services: Services, caller: Caller, entries: list[Target]) -> Loaded:
    with services.parts.begin() as session:
        loaded = load_targets(session, entries, caller.user, now())
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
