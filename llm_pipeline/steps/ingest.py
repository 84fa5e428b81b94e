"""Ingest: a file of submissions in, through the gate, each row once and only once."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from llm_pipeline import files, packed
from llm_pipeline.domain import pacing
from llm_pipeline.domain.center_events import (
    MappingApproved,
    SubmissionsReceived,
    UploadFinished,
    UploadStarted,
)
from llm_pipeline.domain.records import GateResult, Status
from llm_pipeline.domain.rows import Columns, KnownTargets
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.gates.rules import CRITICAL, WARNING
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.readers.kinds import open_reader
from llm_pipeline.reading_ahead import ReadingAhead, Run, Task
from llm_pipeline.store import bulk, catalogue, log, quality, slices, staged, uploads, words
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.vectors.rows import Known

REJECTED_SHARE_THAT_FAILS = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """A file to ingest: what it is, what its rows become, who sent it."""

    path: Path
    actor: str
    lands_as: Status = Status.PENDING
    columns: Columns = field(default_factory=Columns)
    filename: str = ""
    encoding: str = packed.UTF_8

    def digest(self) -> str:
        """Return what tells this content for this purpose from any other; reads the whole file."""
        return files.digest(self.path, *self.columns.named(), self.encoding)

    @property
    def trusted(self) -> bool:
        return self.lands_as is Status.APPROVED


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a file is: rows accounted for, rows checked, and about how many there are."""

    done: int
    seen: int
    total: int | None


Told = Callable[[Progress], None]
Clock = Callable[[], datetime]


def ingest_file(database: Database, job: Job, clock: Clock, progress: Told) -> uploads.Upload:
    """Take in a file, a transaction per slice; an interrupted one goes on where it stopped.

    The same content for the same purpose is one upload: the second time adds nothing.
    """
    upload = accept(database, job, job.digest(), clock())
    return upload if upload.status == "finished" else take_in(database, upload, clock, progress)


def take_in(
    database: Database, upload: uploads.Upload, clock: Clock, progress: Told
) -> uploads.Upload:
    """Take in a file that was accepted; if it is cancelled, it ends with the slice it is at."""
    try:
        task = _start(database, upload, clock())
        with ReadingAhead(database, task) as runs:
            merged_all = _Merger(database, task, runs, clock, progress).merge()
    except InvalidInput as error:
        with database.begin() as session:
            uploads.set_status(session, upload.id, "failed", clock(), str(error))
        raise
    with database.begin() as session:
        ended = _finish(session, upload.id, clock()) if merged_all else None
    staged.forget(database, upload.id)
    if ended is None:
        with database.read() as session:
            return uploads.get(session, upload.id)
    return ended


def check_columns(job: Job) -> None:
    """Raise InvalidInput unless the file can be read and has the columns that its purpose needs,
    and each that was named: a misspelt one would otherwise be left out without a word."""
    reader = open_reader(job.path, job.encoding)
    found = reader.columns
    chosen = job.columns.chosen() if reader.columns_are_complete else ()
    trusted = [job.columns.target] if job.trusted else []
    needed = dict.fromkeys([job.columns.text, *trusted, *chosen])
    for name in needed:
        if name not in found:
            raise InvalidInput(
                f"{job.path.name} has no column {name!r}; it has {', '.join(found)[:500]}. "
                f"Rename it, or say which column to use"
            )
    reader.check_text(job.columns.text)


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


def _start(database: Database, upload: uploads.Upload, at: datetime) -> Task:
    job = job_of(upload)
    total = open_reader(job.path, job.encoding).total()
    with database.begin() as session:
        if uploads.get(session, upload.id).status == "running":
            event = UploadStarted(job.actor, upload.id, upload.filename, upload.rows_read)
            log.append(session, at, event)
            uploads.set_started(session, upload.id, total, at)
        retired = frozenset(catalogue.retired_keys(session))
        known = Known.of(KnownTargets(catalogue.active_ids(session), retired))
        begun = uploads.get(session, upload.id)
    return Task(job.path, job.encoding, job.columns, known, job.trusted, begun)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one transaction writes: bad rows, and good ones from one position to another."""

    rejected: Sequence[uploads.Rejected]
    good: slices.Slice | None
    ends_run: bool

    @property
    def accepted(self) -> int:
        return self.good.rows if self.good else 0


class _Merger:
    """Merges run after run; knows what of the upload it has written, and so sees another writer."""

    def __init__(
        self,
        database: Database,
        task: Task,
        runs: ReadingAhead,
        clock: Clock,
        progress: Told,
    ) -> None:
        self._database = database
        self._task = task
        self._runs = runs
        self._clock = clock
        self._progress = progress
        self._done = task.upload.rows_read
        self._pace = pacing.Pace()

    def merge(self) -> bool:
        """Merge all runs; False if the upload was cancelled meanwhile."""
        return all(self._merge_run(run) if run else self._may_wait() for run in self._runs)

    def _may_wait(self) -> bool:
        """Tell how far reading is; False if the upload was cancelled meanwhile."""
        with self._database.read() as session:
            now = uploads.get(session, self._task.upload.id)
            words.known(session)  # the first slice asks it: a third of a second for 2.7 million
        self._progress(Progress(self._done, self._runs.seen, now.rows_total))
        return now.status != "cancelled"

    def _merge_run(self, run: Run) -> bool:
        try:
            with staged.merging(self._database, run.staged) as merging:
                return all(self._merge_part(merging, run, part) for part in self._parts(run))
        finally:
            run.staged.drop(self._database)

    def _merge_part(self, merging: staged.Merging, run: Run, part: _Part) -> bool:
        with merging.begin() as session:
            began = time.perf_counter()
            if not self._write(session, run, part):
                return False
            offset = log.next_offset(session)
        self._pace.end(offset, part.accepted, time.perf_counter() - began)
        time.sleep(pacing.PAUSE_SECONDS)
        self._done += part.accepted + len(part.rejected)
        total = self._task.upload.rows_total
        self._progress(Progress(self._done, self._runs.seen, total))
        return True

    def _parts(self, run: Run) -> Iterator[_Part]:
        """Yield bad rows first: what a later look finds of a run was not set aside."""
        bad = run.rejected
        first = 1
        while True:
            size = self._pace.rows
            head, bad = bad[:size], bad[size:]
            good = None
            if not bad and first <= run.staged.rows:
                good = slices.Slice(run.staged, first, run.staged.slice_end(first, self._pace.rows))
                first = good.last + 1
            ends_run = not bad and first > run.staged.rows
            yield _Part(head, good, ends_run)
            if ends_run:
                return

    def _write(self, session: Session, run: Run, part: _Part) -> bool:
        task = self._task
        now = uploads.get(session, task.upload.id)
        if now.status == "cancelled":
            return False
        if now.rows_read != self._done:
            raise Conflict(f"another process is reading {task.path.name} already; let it finish")
        at, offset = self._clock(), log.next_offset(session)
        self._pace.begin(offset)
        act = bulk.Act(now.id, now.actor, at, offset)
        uploads.set_aside(session, act, part.rejected)
        merged = bulk.Merged(0, 0)
        if part.good:
            merged = slices.merge(session, part.good, act, trusted=task.trusted)
        self._tell(session, act, part, merged)
        uploads.advance(session, act, self._step(session, run, part))
        return True

    def _tell(self, session: Session, act: bulk.Act, part: _Part, merged: bulk.Merged) -> None:
        if part.accepted or part.rejected:
            received = SubmissionsReceived(
                act.actor,
                rows=part.accepted,
                rejected=len(part.rejected),
                new_mappings=merged.new_mappings,
                upload_id=act.upload_id,
            )
            log.append(session, act.at, received)
        if merged.approved:
            approved = MappingApproved(act.actor, merged.approved, upload_id=act.upload_id)
            log.append(session, act.at, approved)

    def _step(self, session: Session, run: Run, part: _Part) -> uploads.Step:
        last = part.good.last if part.good else 0
        goes_on = last and not part.ends_run
        text, row = run.staged.at(session, last) if goes_on else (None, None)
        return uploads.Step(
            accepted=part.accepted,
            rejected=len(part.rejected),
            seen=self._runs.seen,
            run_end=run.last,
            merged_text=text,
            merged_row=row,
            run_is_merged=part.ends_run,
        )


def _finish(session: Session, upload_id: int, at: datetime) -> uploads.Upload | None:
    if uploads.get(session, upload_id).status == "cancelled":
        return None
    uploads.set_status(session, upload_id, "finished", at)
    upload = uploads.get(session, upload_id)
    actor = upload.actor
    result = _verdict(upload, uploads.rejected_by_reason(session, upload_id))
    finished = UploadFinished(actor, upload_id, upload.rows_read, upload.accepted, upload.rejected)
    quality.record_gate(session, result, log.latest(session), actor, at, upload_id)
    log.append(session, at, finished)
    return upload


def _verdict(upload: uploads.Upload, by_reason: dict[str, int]) -> GateResult:
    """What the gate said about a whole file: bad rows are set aside, too many of them fail it."""
    failures = tuple(
        {"reason": reason, "failing": number, "severity": CRITICAL}
        for reason, number in by_reason.items()
    )
    success = upload.rejected <= REJECTED_SHARE_THAT_FAILS * upload.rows_read
    severity = "none" if not failures else (WARNING if success else CRITICAL)
    checks = len(SUITES["submissions"])
    return GateResult("submissions", success, severity, upload.rows_read, checks, failures)
