"""LLM Center: files in, their progress, and the rows that were set aside."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from llm_pipeline.api import intake
from llm_pipeline.api.auth import Caller, Submitter, Viewer
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId, Services, Word
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.domain.records import Role, Status
from llm_pipeline.domain.rows import Columns
from llm_pipeline.files import inert
from llm_pipeline.packed import UTF_8
from llm_pipeline.readers.kinds import KINDS
from llm_pipeline.steps.cancel import cancel
from llm_pipeline.steps.ingest import Job, accept, check_columns
from llm_pipeline.store import state, uploads
from llm_pipeline.wiring import now

PATH = "/api/llm-center/uploads"
router = APIRouter(prefix=PATH, tags=["LLM Center"])

_PAGE = 1000


class UploadForm(Incoming):
    """What a file's rows become, and which of its columns hold what."""

    lands_as: Literal["pending", "approved"] = "pending"
    text_column: Word = Field(default="text", min_length=1)
    target_column: Word = "target"
    time_column: Word = "time"
    amount_column: Word = "amount"
    note_column: Word = "note"
    encoding: Annotated[
        Word, Field(description="of a CSV or JSONL file; a byte order mark tells it by itself")
    ] = UTF_8

    def columns(self) -> Columns:
        return Columns(
            self.text_column,
            self.target_column,
            self.time_column,
            self.amount_column,
            self.note_column,
        )


class ProgressOut(BaseModel):
    """How far a file is and how fast: rows checked, about how many there are, seconds."""

    phase: Literal["waiting", "reading", "merging", "ended"]
    rows_checked: int
    rows_total: int | None
    rows_per_second: float | None
    seconds: float
    seconds_left: float | None

    @classmethod
    def of(cls, stored: uploads.Upload, at: datetime) -> Self:
        pace = stored.pace(at)
        return cls(
            phase=stored.phase,
            rows_checked=stored.rows_seen,
            rows_total=stored.rows_total,
            rows_per_second=pace.rows_per_second,
            seconds=pace.seconds,
            seconds_left=pace.seconds_left,
        )


class UploadOut(BaseModel):
    """A file and what became of it so far. `rows_read` are accounted for, taken in or set aside."""

    id: int
    filename: str
    bytes: int
    lands_as: str
    status: str
    submitter: str
    rows_read: int
    accepted: int
    rejected: int
    error: str
    created_at: datetime
    updated_at: datetime
    progress: Annotated[ProgressOut, Field(description="of the run that is on, or was last")]

    @classmethod
    def of(cls, stored: uploads.Upload) -> Self:
        names = set(cls.model_fields) - {"submitter", "progress"}
        same = {name: getattr(stored, name) for name in names}
        return cls(**same, submitter=stored.actor, progress=ProgressOut.of(stored, now()))


@router.post(
    "",
    status_code=202,
    summary="Send a file of rows",
    openapi_extra=intake.form_schema(UploadForm, KINDS),
)
async def post_upload(request: Request, services: Given, caller: Submitter) -> UploadOut:
    work = partial(_accept, services, caller)
    return await intake.handled(request, services.worker.folder, work)


def _accept(services: Services, caller: Caller, received: intake.Received) -> UploadOut:
    form = received.form(UploadForm)
    if form.lands_as == "approved":
        caller.demand(Role.REVIEWER, "an upload of approved labels")
    name = received.path.name
    status, columns = Status(form.lands_as), form.columns()
    job = Job(received.path, caller.user, status, columns, name, form.encoding)
    check_columns(job)
    upload = _register(services, job)
    if upload.status != "finished":
        services.worker.put(upload)
    return UploadOut.of(upload)


def _register(services: Services, job: Job) -> uploads.Upload:
    """Move a file to where its content is kept and store it; known content is known by its id."""
    digest = job.digest()
    kept = services.worker.folder / digest
    kept.mkdir(exist_ok=True)
    moved = replace(job, path=job.path.replace(kept / job.path.name))
    return accept(services.parts.database, moved, digest, now())


@router.get("", summary="Files, newest first")
def list_uploads(
    services: Given, _caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[UploadOut]:
    with services.parts.read() as session:
        found = state.upload_page(session, row_position(cursor), limit + 1)
        total = state.upload_count(session)
    return page_of(found, limit, UploadOut.of, total)


@router.get("/{upload_id}", summary="One file and its progress")
def get_upload(services: Given, _caller: Viewer, upload_id: RowId) -> UploadOut:
    with services.parts.read() as session:
        return UploadOut.of(uploads.get(session, upload_id))


@router.post("/{upload_id}/cancel", summary="Stop a file on its way in; what is in stays")
def post_cancel(services: Given, caller: Submitter, upload_id: RowId) -> UploadOut:
    with services.parts.begin() as session:
        if uploads.get(session, upload_id).actor != caller.user:
            caller.demand(Role.REVIEWER, "cancelling an upload of somebody else")
        return UploadOut.of(cancel(session, upload_id, caller.user, now()))


@router.get(
    "/{upload_id}/rejected", summary="The rows that were set aside, with the reason, as CSV"
)
def get_rejected(services: Given, _caller: Viewer, upload_id: RowId) -> StreamingResponse:
    with services.parts.read() as session:
        upload = uploads.get(session, upload_id)
    stem = "".join(c for c in Path(upload.filename).stem if c.isascii() and c.isalnum()) or "upload"
    headers = {"Content-Disposition": f'attachment; filename="{stem}-rejected.csv"'}
    return StreamingResponse(
        _rejected(services, upload_id), 200, headers, "text/csv; charset=utf-8"
    )


def _rejected(services: Services, upload_id: int) -> Iterator[str]:
    yield "row,line,reason,content\r\n"
    after = 0
    while True:
        with services.parts.read() as session:
            rows = uploads.rejected(session, upload_id, after, _PAGE)
        if not rows:
            return
        text = io.StringIO()
        csv.writer(text).writerows(
            (bad.row, bad.line, inert(bad.reason), inert(bad.content)) for bad in rows
        )
        yield text.getvalue()
        after = rows[-1].row
