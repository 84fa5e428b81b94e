"""LLM Center: what a filter matches, and the catalogue, as files."""

from collections.abc import Callable, Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from llm_pipeline.api.auth import Viewer
from llm_pipeline.api.deps import Given, Services
from llm_pipeline.api.narrowing import Narrowed
from llm_pipeline.api.spool import Spooled
from llm_pipeline.outgoing import MAPPINGS, MEDIA_TYPES, TARGETS, Format, encoded
from llm_pipeline.store.export import mapping_rows, target_rows
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/llm-center/export", tags=["LLM Center"])

Wanted = Annotated[Format, Query(description="how the file is written")]


@router.get("", summary="All mappings that a filter matches, as CSV, JSONL or Parquet")
def export_mappings(
    services: Given,
    _caller: Viewer,
    wanted: Narrowed,
    format: Wanted = Format.CSV,  # noqa: A002
) -> StreamingResponse:
    def pieces() -> Iterator[bytes]:
        with services.parts.read() as session:
            yield from encoded(format, MAPPINGS, mapping_rows(session, wanted))

    stem = "-".join(("mappings", *wanted.statuses))
    return _file(services, stem, format, pieces)


@router.get("/targets", summary="The catalogue as CSV, JSONL or Parquet")
def export_targets(
    services: Given,
    _caller: Viewer,
    format: Wanted = Format.CSV,  # noqa: A002
) -> StreamingResponse:
    def pieces() -> Iterator[bytes]:
        with services.parts.read() as session:
            yield from encoded(format, TARGETS, target_rows(session))

    return _file(services, "targets", format, pieces)


def _file(
    services: Services, stem: str, form: Format, pieces: Callable[[], Iterator[bytes]]
) -> StreamingResponse:
    name = f"{stem}-{now():%Y-%m-%d}.{form.value}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Spooled(pieces, services.parts.settings.path(), headers, MEDIA_TYPES[form])
