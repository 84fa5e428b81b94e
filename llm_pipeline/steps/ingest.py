"""Ingest: a file of submissions in, through the gate, each row once and only once."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

import pandas as pd

from llm_pipeline import files, gates
from llm_pipeline.domain.events import (
    MappingApproved,
    SubmissionsReceived,
    UploadFinished,
    UploadStarted,
)
from llm_pipeline.domain.records import GateResult, Status
from llm_pipeline.domain.rows import Columns, KnownTargets, ParsedRow, parse_row
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.store import bulk, catalogue, log, quality, uploads
from llm_pipeline.store.engine import Database, Session

# Checked in blocks (a run of the gate costs 75 ms whatever its size), written in smaller
# transactions, so that a person's decision never waits long behind an upload.
BLOCK_ROWS = 20_000
CHUNK_ROWS = 5_000
REJECTED_SHARE_THAT_FAILS = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """A file to ingest: what it is, what its rows become, who sent it."""

    path: Path
    actor: str
    lands_as: Status = Status.PENDING
    columns: Columns = field(default_factory=Columns)
    filename: str = ""
    encoding: str = "utf-8-sig"

    def digest(self) -> str:
        """Return what tells this content for this purpose from any other; reads the whole file."""
        return files.digest(self.path, *self.columns.named(), self.encoding)


@dataclass(frozen=True, slots=True)
class _Read:
    """A row as it stood in the file and as it was understood."""

    raw: files.FileRow
    parsed: ParsedRow


def ingest_file(
    database: Database, job: Job, clock: Callable[[], datetime], progress: Callable[[int], None]
) -> uploads.Upload:
    """Take in a file, a transaction per chunk; an interrupted one goes on where it stopped.

    `progress` is told how many rows are done. The same content for the same purpose is one upload:
    the second time adds nothing.
    """
    upload = accept(database, job, job.digest(), clock())
    if upload.status == "finished":
        return upload
    known = _start(database, upload, job.actor, clock())
    try:
        for chunk in _chunks(job, upload, known, clock):
            with database.begin() as session:
                _write(session, job, chunk)
            progress(chunk.rows_read)
    except files.UNREADABLE as error:
        with database.begin() as session:
            uploads.set_status(session, upload.id, "failed", clock(), f"cannot be read: {error}")
        raise InvalidInput(f"{job.path} cannot be read to its end: {error}") from error
    with database.begin() as session:
        return _finish(session, upload.id, job.actor, clock())


def check_columns(job: Job) -> None:
    """Raise InvalidInput unless the file has a header with the columns that its purpose needs."""
    header = files.columns(job.path, job.encoding)
    needed = [job.columns.text]
    if job.lands_as is Status.APPROVED:
        needed.append(job.columns.target)
    for name in needed:
        if name not in header:
            raise InvalidInput(
                f"{job.path.name} has no column {name!r}; it has {', '.join(header)}. "
                f"Rename it, or say which column to use"
            )


def accept(database: Database, job: Job, digest: str, at: datetime) -> uploads.Upload:
    """Register a file whose columns are right; content that is known is the upload it was."""
    check_columns(job)
    new = uploads.NewUpload(
        filename=job.filename or job.path.name,
        path=str(job.path.resolve()),
        sha256=digest,
        bytes=job.path.stat().st_size,
        lands_as=job.lands_as.value,
        columns=asdict(job.columns),
        encoding=job.encoding,
        actor=job.actor,
    )
    with database.begin() as session:
        return uploads.register(session, new, at)


def job_of(upload: uploads.Upload) -> Job:
    """Return the job that takes a registered upload up again."""
    columns = Columns(**upload.columns)
    path, lands_as = Path(upload.path), Status(upload.lands_as)
    return Job(path, upload.actor, lands_as, columns, upload.filename, upload.encoding)


def _start(database: Database, upload: uploads.Upload, actor: str, at: datetime) -> KnownTargets:
    with database.begin() as session:
        event = UploadStarted(actor, upload.id, upload.filename, upload.rows_read)
        log.append(session, at, event)
        retired = frozenset(catalogue.retired_keys(session))
        return KnownTargets(catalogue.active_ids(session), retired)


def _chunks(
    job: Job, upload: uploads.Upload, known: KnownTargets, clock: Callable[[], datetime]
) -> Iterator[bulk.Chunk]:
    rows = files.read_rows(job.path, upload.rows_read, job.encoding)
    while block := [_read(row, job, known) for row in islice(rows, BLOCK_ROWS)]:
        reasons = _gate(block)
        for start in range(0, len(block), CHUNK_ROWS):
            part = block[start : start + CHUNK_ROWS]
            yield bulk.Chunk(
                upload_id=upload.id,
                actor=job.actor,
                at=clock(),
                offset=0,
                rows_read=part[-1].raw.row,
                rows=[_good(p, known) for p in part if p.raw.row not in reasons],
                rejected=[_bad(p, reasons) for p in part if p.raw.row in reasons],
            )


def _gate(block: list[_Read]) -> dict[int, list[str]]:
    """The reasons of every bad row of a block, by row number."""
    unreadable = {read.raw.row: [read.raw.problem] for read in block if read.raw.problem}
    readable = [read for read in block if not read.raw.problem]
    if not readable:
        return unreadable
    rows = [read.raw.row for read in readable]
    frame = pd.DataFrame([read.parsed.states for read in readable], index=rows)
    return unreadable | gates.failing_rows("submissions", frame)


def _read(raw: files.FileRow, job: Job, known: KnownTargets) -> _Read:
    trusted = job.lands_as is Status.APPROVED
    return _Read(raw, parse_row(raw.values, job.columns, known, job.actor, needs_target=trusted))


def _good(read: _Read, known: KnownTargets) -> bulk.Row:
    said, raw = read.parsed.submission, read.raw
    normalized = normalize(said.text)
    target_id = None if said.target is None else known.ids[said.target]
    return bulk.Row(raw.row, raw.line, said, normalized, group_key(normalized), target_id)


def _bad(read: _Read, reasons: dict[int, list[str]]) -> bulk.RejectedRow:
    raw = read.raw
    # Surrogates cannot be stored as UTF-8, NUL not in PostgreSQL.
    content = raw.content().encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return bulk.RejectedRow(raw.row, raw.line, "; ".join(reasons[raw.row]), content)


def _write(session: Session, job: Job, chunk: bulk.Chunk) -> None:
    chunk = replace(chunk, offset=log.next_offset(session))
    if _is_written(session, chunk):
        raise Conflict(f"another process is reading {job.path.name} already; let it finish")
    trusted = job.lands_as is Status.APPROVED
    merged = (bulk.merge_approved if trusted else bulk.merge_pending)(session, chunk)
    received = SubmissionsReceived(
        job.actor,
        rows=len(chunk.rows),
        rejected=len(chunk.rejected),
        new_mappings=merged.new_mappings,
        upload_id=chunk.upload_id,
    )
    if merged.approved:
        approved = MappingApproved(job.actor, merged.approved, upload_id=chunk.upload_id)
        log.append(session, chunk.at, received, approved)
    else:
        log.append(session, chunk.at, received)


def _is_written(session: Session, chunk: bulk.Chunk) -> bool:
    upload_id = chunk.upload_id
    return upload_id is not None and uploads.get(session, upload_id).rows_read >= chunk.rows_read


def _finish(session: Session, upload_id: int, actor: str, at: datetime) -> uploads.Upload:
    uploads.set_status(session, upload_id, "finished", at)
    upload = uploads.get(session, upload_id)
    result = _verdict(upload, uploads.rejected_by_reason(session, upload_id))
    finished = UploadFinished(actor, upload_id, upload.rows_read, upload.accepted, upload.rejected)
    quality.record_gate(session, result, log.latest(session), actor, at, upload_id)
    log.append(session, at, finished)
    return upload


def _verdict(upload: uploads.Upload, by_reason: dict[str, int]) -> GateResult:
    """What the gate said about a whole file: bad rows are set aside, too many of them fail it."""
    failures = tuple(
        {"reason": reason, "failing": number, "severity": gates.CRITICAL}
        for reason, number in by_reason.items()
    )
    success = upload.rejected <= REJECTED_SHARE_THAT_FAILS * upload.rows_read
    severity = "none" if not failures else (gates.WARNING if success else gates.CRITICAL)
    checks = len(gates.SUITES["submissions"])
    return GateResult("submissions", success, severity, upload.rows_read, checks, failures)
