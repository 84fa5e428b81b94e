"""Files on their way in: one row per file and purpose, with how far it was read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Source
from llm_pipeline.errors import NotFound
from llm_pipeline.store import activity
from llm_pipeline.store.bulk import Act
from llm_pipeline.store.schema import rejected_rows, uploads

Phase = Literal["waiting", "reading", "merging", "ended"]


class Pace(NamedTuple):
    """How long an upload has run, how fast it was, and how long it will be at that pace."""

    seconds: float
    rows_per_second: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and what became of it. `rows_read` is where an interrupted one goes on."""

    id: int
    filename: str
    path: str
    sha256: str
    bytes: int
    lands_as: str
    columns: dict[str, str]
    encoding: str
    status: str
    actor: str
    rows_read: int
    accepted: int
    rejected: int
    error: str
    created_at: datetime
    updated_at: datetime
    complete_to: int  # every row up to here is accounted for
    run_end: int | None  # and of the rows from there to here
    merged_text: str | None  # those up to this normalised text,
    merged_row: int | None  # of its own rows those up to this one
    rows_seen: int
    rows_total: int | None
    started_at: datetime | None
    started_rows: int

    @property
    def phase(self) -> Phase:
        if self.status != "running":
            return "ended"
        if self.started_at is None:
            return "waiting"
        return "reading" if self.rows_read == self.started_rows else "merging"

    def pace(self, at: datetime) -> Pace:
        """Return how fast the run is that began last, or was before it ended."""
        if self.started_at is None:
            return Pace(0.0, None, None)
        until = at if self.status == "running" else self.updated_at
        seconds = max((until - self.started_at).total_seconds(), 0.0)
        rows = self.rows_read - self.started_rows
        if not rows or not seconds:
            return Pace(seconds, None, None)
        left = max((self.rows_total or self.rows_read) - self.rows_read, 0)
        known = self.status == "running" and self.rows_total is not None
        return Pace(seconds, rows / seconds, left * seconds / rows if known else None)


class Rejected(NamedTuple):
    """A bad row, as it stood, and what was wrong with it."""

    row: int
    line: int
    reason: str
    content: str


@dataclass(frozen=True, slots=True)
class Step:
    """How far a transaction brings an upload."""

    accepted: int
    rejected: int
    seen: int
    run_end: int
    merged_text: str | None
    merged_row: int | None
    run_is_merged: bool


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A file before its first row is read; the same content for the same purpose is one upload."""

    filename: str
    path: str
    sha256: str
    bytes: int
    lands_as: str
    columns: dict[str, str]
    encoding: str
    actor: str


def register(session: Session, new: NewUpload, at: datetime) -> Upload:
    """Return the upload of this content, creating it on first sight; a failed one runs again."""
    found = session.execute(
        select(uploads).where(uploads.c.sha256 == new.sha256, uploads.c.lands_as == new.lands_as)
    ).first()
    if found is None:
        values = {
            "filename": new.filename,
            "path": new.path,
            "sha256": new.sha256,
            "bytes": new.bytes,
            "lands_as": new.lands_as,
            "columns": new.columns,
            "encoding": new.encoding,
            "actor": new.actor,
            "status": "running",
            "created_at": at,
            "updated_at": at,
        }
        new_id = session.scalar(insert(uploads).values(values).returning(uploads.c.id))
        return get(session, new_id or 0)
    if found.status != "finished":
        set_status(session, found.id, "running", at)
        session.execute(update(uploads).where(uploads.c.id == found.id).values(path=new.path))
    return get(session, found.id)


def get(session: Session, upload_id: int) -> Upload:
    """Return an upload; `NotFound` if there is none with that id."""
    row = session.execute(select(uploads).where(uploads.c.id == upload_id)).first()
    if row is None:
        raise NotFound(f"there is no upload {upload_id}; GET /api/llm-center/uploads lists them")
    return Upload(*row)


def recent(session: Session, limit: int = 50) -> list[Upload]:
    """Return the newest uploads first."""
    query = select(uploads).order_by(uploads.c.id.desc()).limit(limit)
    return [Upload(*row) for row in session.execute(query)]


def unfinished(session: Session) -> list[Upload]:
    """Return the uploads that a crash or a stop has interrupted, oldest first."""
    query = select(uploads).where(uploads.c.status == "running").order_by(uploads.c.id)
    return [Upload(*row) for row in session.execute(query)]


def set_started(session: Session, upload_id: int, rows_total: int | None, at: datetime) -> None:
    """Record that reading begins now, and about how many rows there are."""
    session.execute(
        update(uploads)
        .where(uploads.c.id == upload_id)
        .values(
            rows_total=rows_total,
            started_at=at,
            started_rows=uploads.c.rows_read,
            updated_at=at,
        )
    )


def set_aside(session: Session, act: Act, rejected: Sequence[Rejected]) -> None:
    """Keep bad rows with their reasons."""
    if not rejected:
        return
    rows = [{"upload_id": act.upload_id, **bad._asdict()} for bad in rejected]
    session.execute(insert(rejected_rows), rows)
    activity.add(session, act.at, Source.UPLOAD.value, {activity.SET_ASIDE: len(rows)})


def advance(session: Session, act: Act, step: Step) -> None:
    """Record what a transaction has written, in this transaction."""
    u = uploads.c
    values: dict[str, Any] = {
        "rows_read": u.rows_read + step.accepted + step.rejected,
        "accepted": u.accepted + step.accepted,
        "rejected": u.rejected + step.rejected,
        "rows_seen": step.seen,
        "updated_at": act.at,
        "run_end": None if step.run_is_merged else step.run_end,
        "merged_text": step.merged_text,
        "merged_row": step.merged_row,
    }
    if step.run_is_merged:
        values["complete_to"] = step.run_end
    session.execute(update(uploads).where(u.id == act.upload_id).values(values))


def set_status(
    session: Session, upload_id: int, status: str, at: datetime, error: str = ""
) -> None:
    """Record how an upload ended, or that it runs again."""
    total = uploads.c.rows_read if status == "finished" else uploads.c.rows_total
    started = None if status == "running" else uploads.c.started_at
    session.execute(
        update(uploads)
        .where(uploads.c.id == upload_id)
        .values(status=status, error=error, updated_at=at, rows_total=total, started_at=started)
    )


def rejected(
    session: Session, upload_id: int, after_row: int = 0, limit: int = 1000
) -> list[Rejected]:
    """Return the bad rows of an upload in the file's order."""
    query = (
        select(
            rejected_rows.c.row,
            rejected_rows.c.line,
            rejected_rows.c.reason,
            rejected_rows.c.content,
        )
        .where(rejected_rows.c.upload_id == upload_id, rejected_rows.c.row > after_row)
        .order_by(rejected_rows.c.row)
        .limit(limit)
    )
    return [Rejected(*row) for row in session.execute(query)]


def rejected_numbers(session: Session, upload_id: int, after_row: int, last: int) -> list[int]:
    """Return the numbers of the bad rows behind a row, up to another."""
    row = rejected_rows.c.row
    query = select(row).where(rejected_rows.c.upload_id == upload_id, row > after_row, row <= last)
    return list(session.scalars(query))


def rejected_by_reason(session: Session, upload_id: int, limit: int = 20) -> dict[str, int]:
    """Return the most frequent reasons for which rows of an upload were set aside."""
    query = (
        select(rejected_rows.c.reason, func.count().label("number"))
        .where(rejected_rows.c.upload_id == upload_id)
        .group_by(rejected_rows.c.reason)
        .order_by(func.count().desc(), rejected_rows.c.reason)
        .limit(limit)
    )
    return {row.reason: row.number for row in session.execute(query)}
