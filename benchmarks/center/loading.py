"""Uploads: a whole file into an empty store, 10,000 rows more, and the prepared store of others."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event

from center import peers
from center.alone import Alone, alone, in_child
from center.descriptors import Made, write, write_labelled
from center.results import Goal, Results
from center.stores import ACTOR, Stores, newest_schema, opened, run_alone
from llm_pipeline import taking_in
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Status
from llm_pipeline.steps.ingest import Job, accept, ingest_file
from llm_pipeline.store import uploads
from llm_pipeline.store.uploads import Upload
from llm_pipeline.wiring import now

SEED = 3
APPENDED = 10_000
REPEATED = 3
LABELLED_SHARE = 0.1
LEAST_SPEED = {"sqlite": 1.5, "postgresql": 0.6}
MOST_MEGABYTES = 500


@dataclass(frozen=True)
class Run:
    """What every sub-benchmark gets: the stores, the size, where results go."""

    stores: Stores
    rows: int
    results: Results
    data: Path | None = None
    upload_rows: int = 0

    @property
    def name(self) -> str:
        return f"rows_{self.rows}"

    def sized(self, rows: int) -> "Run":
        """Return a run at another size whose store may have to be prepared."""
        return Run(self.stores, rows, self.results, self.data, self.upload_rows)

    def file(self, name: str) -> Path:
        return self.stores.home / name


def ingested(settings: Settings, path: Path, lands_as: Status = Status.PENDING) -> Upload:
    """Ingest a file; the store is closed inside, so that what closing costs is counted."""
    with opened(settings) as database:
        return ingest_file(database, Job(path, ACTOR, lands_as), now, lambda _rows: None)


def upload(run: Run) -> None:
    """Ours beside the database's own tool, which gets the rows clean and without duplicates."""
    made, done = _load(run)
    clean = run.file(f"clean_{run.stores.kind}_{run.rows}.csv")
    number = peers.clean_rows(run.stores.settings(run.name), done.result.id, clean)
    seconds = peers.load(run.stores, f"peer_{run.rows}", clean)
    own, peer = made.rows / done.seconds, number / seconds
    tool = ".import" if run.stores.kind == "sqlite" else "\\copy"
    run.results.add(
        "upload, rows/s",
        f"{own:,.0f} ({done.seconds:.1f} s, {made.rows:,} rows, {number:,} mappings)",
        f"`{tool}` {peer:,.0f} ({seconds:.1f} s)",
        own / peer,
        Goal("at least", LEAST_SPEED[run.stores.kind], " x", 1_000_000),
    )
    run.results.add(
        "upload, peak memory",
        f"{done.megabytes:,.0f} MB, all of the process",
        "",
        done.megabytes,
        Goal("at most", MOST_MEGABYTES, " MB"),
    )
    run.stores.drop(f"peer_{run.rows}")
    clean.unlink()
    _complete(run)


def append(run: Run) -> None:
    """10,000 rows into the prepared store beside the same into empty ones."""
    prepared(run)
    at_rows, at_zero = [], []
    with run.stores.copied(run.name, "appended") as settings:
        for number in range(REPEATED):
            path = run.file(f"append_{number}.csv")
            write(path, APPENDED, SEED + 10 + number)
            at_rows.append(alone(ingested, settings, path).seconds)
            at_zero.append(alone(ingested, run.stores.fresh("empty"), path).seconds)
    run.stores.drop("empty")
    own, peer = median(at_rows), median(at_zero)
    run.results.add(
        "append 10,000 rows, s",
        f"{own:.2f} (of {', '.join(f'{s:.2f}' for s in at_rows)})",
        f"at 0 rows {peer:.2f} (of {', '.join(f'{s:.2f}' for s in at_zero)})",
        own / peer,
        Goal("at most", 1.5, " x"),
    )


def prepared(run: Run) -> Settings:
    """Return the store of a size, loaded at first use: a tenth more rows are approved labels."""
    if run.stores.noted(run.name).get("schema") != newest_schema():
        _load(run)
        _complete(run)
    return run.stores.settings(run.name)


def _load(run: Run) -> tuple[Made, Alone[Upload]]:
    path = run.file(f"rows_{run.rows}.csv")
    made = write(path, run.rows, SEED)
    done = in_child(partial(_apart, run.stores.fresh(run.name), path))
    said = (done.result.rows_read, done.result.rejected)
    if said != (made.rows, made.rejected):
        raise AssertionError(f"{said} rows read and rejected, not {made}")
    return made, done


def _apart(settings: Settings, path: Path) -> Upload:
    """Take a file in as the API does with a large one, start of its process included."""
    with opened(settings) as database:
        job = Job(path, ACTOR)
        upload = accept(database, job, job.digest(), now())
        taking_in.apart(database, upload, Event(), "text")
        with database.read() as session:
            return uploads.get(session, upload.id)


def _complete(run: Run) -> None:
    path = run.file(f"labelled_{run.rows}.csv")
    write_labelled(path, int(run.rows * LABELLED_SHARE), SEED + 1)
    settings = run.stores.settings(run.name)
    alone(ingested, settings, path, Status.APPROVED)
    path.unlink()
    if settings.database_url:
        # What autovacuum would have done a minute later.
        run_alone(settings.database_url, "VACUUM ANALYZE")
    run.stores.note(run.name, rows=run.rows, schema=newest_schema())
