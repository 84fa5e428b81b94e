"""`llm-pipeline`: the command line. Parse, call the steps, tell what happened.

Exit codes: 0 done, 1 a check of `doctor` failed, 2 to 9 as drawn in `errors.py`, 130 interrupted.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from llm_pipeline import accounts, benching, errors, exporting, indexing, loop, processes, versions
from llm_pipeline import doctor as health
from llm_pipeline.answer import answer_file, answer_text, names_a_file
from llm_pipeline.batch import Job as BatchJob
from llm_pipeline.batch import default_output
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Status
from llm_pipeline.domain.review import Order
from llm_pipeline.domain.rows import Columns
from llm_pipeline.doubts import show_doubts
from llm_pipeline.packed import UTF_8
from llm_pipeline.reviewing import review as review_groups
from llm_pipeline.steps.forecast import forecast
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.load import load_targets, read_targets
from llm_pipeline.steps.report import report_performance, report_quality
from llm_pipeline.store import models
from llm_pipeline.store.engine import CANNOT_CONNECT
from llm_pipeline.terminal import notes, out, progress
from llm_pipeline.up import prepare_dagster, sign_in_link
from llm_pipeline.wiring import Parts, now

EXIT_CODES: dict[type[errors.PipelineError], int] = {
    errors.InvalidInput: 2,
    errors.NotFound: 3,
    errors.Conflict: 4,
    errors.NotAllowed: 5,
    errors.NotSignedIn: 5,
    errors.GateFailed: 6,
    errors.NothingToLearn: 7,
    errors.ModelUnavailable: 8,
    errors.SetupError: 9,
}
ACTOR = "command line"

app = typer.Typer(
    help="From messy text to the entries of a catalogue you keep.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
targets = typer.Typer(help="The catalogue.", no_args_is_help=True)
app.add_typer(targets, name="targets")
app.add_typer(accounts.commands(lambda: _parts()), name="users")
app.add_typer(benching.commands(), name="bench")
app.add_typer(indexing.commands(lambda: _parts()), name="search")
exporting.add_to(app, lambda: _parts())
versions.add_to(app, lambda: _parts(), ACTOR)

FilePath = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="the file to read")]


def main() -> None:
    """Run the command line; errors become one line on stderr and an exit code."""
    try:
        app()
    except errors.PipelineError as error:
        notes.print(f"error: {error}", style="red", soft_wrap=True)
        code = next(c for kind, c in EXIT_CODES.items() if isinstance(error, kind))
        sys.exit(code)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "LLM_PIPELINE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise errors.SetupError(f"{name}: {first['msg']}") from error


def _parts() -> Parts:
    settings = _settings()
    try:
        parts = Parts(settings)
        parts.migrate()
    except (OSError, *CANNOT_CONNECT) as error:
        raise errors.SetupError(
            f"{settings.path()} or the database cannot be used: {str(error).splitlines()[0]}. "
            "See LLM_PIPELINE_HOME and LLM_PIPELINE_DATABASE_URL"
        ) from error
    return parts


@app.command()
def up(
    sample: Annotated[
        bool, typer.Option(help="load sample data first if nothing was ever loaded")
    ] = False,
) -> None:
    """Start dashboard, API, Dagster and MLflow. Example: llm-pipeline up --sample"""
    settings = _settings()
    processes.check_ports(settings)
    parts = _parts()
    if sample and loop.is_empty(parts):
        loop.load_sample(parts, lambda told: out.print(told, soft_wrap=True))
    prepare_dagster(settings)
    out.print(f"sign in once, within the hour: {sign_in_link(parts)}", soft_wrap=True)
    out.print(f"dashboard {settings.api_url}   API {settings.api_url}/docs")
    out.print(f"Dagster   {settings.dagster_url}   MLflow {settings.mlflow_url}")
    parts.engine.dispose()
    command = [sys.executable, "-m", "llm_pipeline.processes"]
    os.execv(sys.executable, command)  # noqa: S606


@targets.command("load")
def targets_load(
    file: FilePath,
    key: Annotated[str, typer.Option(help="column of the key")] = "key",
    name: Annotated[str, typer.Option(help="column of the name")] = "name",
) -> None:
    """Load a catalogue from CSV. Example: llm-pipeline targets load companies.csv --key ticker"""
    parts = _parts()
    entries = read_targets(file, key, name)
    with parts.begin() as session:
        done = load_targets(session, entries, ACTOR, now())
    out.print(f"{done.created} targets created, {done.changed} changed, {done.total} in all")


@app.command()
def ingest(
    file: FilePath,
    approved: Annotated[
        bool, typer.Option(help="the targets in the file are right: live at once, no review")
    ] = False,
    text: Annotated[str, typer.Option(help="column of the text")] = "text",
    target: Annotated[str, typer.Option(help="column of the target's key")] = "target",
    time: Annotated[str, typer.Option(help="column of the time")] = "time",
    amount: Annotated[str, typer.Option(help="column of the amount")] = "amount",
    encoding: Annotated[str, typer.Option(help="encoding of a CSV or JSONL file")] = UTF_8,
) -> None:
    """Take in CSV, JSONL, Parquet, XLSX. Example: llm-pipeline ingest a.csv --text merchant"""
    parts = _parts()
    lands_as = Status.APPROVED if approved else Status.PENDING
    columns = Columns(text=text, target=target, time=time, amount=amount)
    job = Job(file, ACTOR, lands_as, columns, encoding=encoding)
    started = now()
    with progress(f"taking in {file.name}", None) as bar:
        done = ingest_file(
            parts.database,
            job,
            now,
            lambda told: bar.update(bar.task_ids[0], completed=told.done, total=told.total),
        )
    if done.updated_at < started:
        out.print(f"this content was taken in before, as upload {done.id}: nothing was added")
        return
    out.print(
        f"upload {done.id}: {done.rows_read} rows read, {done.accepted} taken in as "
        f"{done.lands_as}, {done.rejected} set aside"
    )
    if done.rejected:
        url = f"{parts.settings.api_url}/api/llm-center/uploads/{done.id}/rejected"
        out.print(f"the rows set aside, with reasons: {url}", soft_wrap=True)


@app.command()
def recognize(
    text: Annotated[str, typer.Argument(help="a text, or a file: .csv, .csv.gz or .parquet")],
    output: Annotated[
        Path | None,
        typer.Option(
            help="where a file's answers go, of any of these kinds  [NAME.recognized.csv]"
        ),
    ] = None,
    text_column: Annotated[str, typer.Option(help="column of the text in a file")] = "text",
    top_k: Annotated[int, typer.Option(min=1, max=50, help="candidates to give")] = 5,
    encoding: Annotated[str, typer.Option(help="encoding of a CSV file")] = "utf-8-sig",
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="processes; 0: one a core, one for a small file")
    ] = 0,
    resume: Annotated[bool, typer.Option(help="go on where a batch broke off")] = False,
    overwrite: Annotated[bool, typer.Option(help="replace an output that is there")] = False,
) -> None:
    """Recognise a text, or every row of a file. Example: llm-pipeline recognize cards.csv"""
    if not names_a_file(text):
        answer_text(_parts(), text, top_k)
        return
    path = Path(text)
    job = BatchJob(path, output or default_output(path), text_column, top_k, encoding, workers)
    answer_file(_parts(), job, resume=resume, overwrite=overwrite)


@app.command()
def doubts(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="labels to show")] = 20,
    look: Annotated[bool, typer.Option(help="look at every approved label again first")] = False,
) -> None:
    """Show approved labels that the rest speaks against. Example: llm-pipeline doubts --look"""
    show_doubts(_parts(), limit, ACTOR, look=look)


@app.command()
def review(
    order: Annotated[Order, typer.Option(help="which groups come first")] = Order.VALUE,
    reviewer: Annotated[str, typer.Option("--as", help="whose decisions these are")] = ACTOR,
) -> None:
    """Decide about waiting texts, group by group. Example: llm-pipeline review --as ann"""
    review_groups(_parts(), order, reviewer)


@app.command()
def report() -> None:
    """Write and show the reports: quality, performance, forecast. Example: llm-pipeline report"""
    parts = _parts()
    for write in (report_quality, report_performance, forecast):
        with parts.begin() as session:
            done = write(session, ACTOR, now())
        out.print(f"{done.kind} at offset {done.as_of}: {done.verdict}", soft_wrap=True)
    with parts.read() as session:
        trained = models.history(session, limit=10)
    table = Table("version", "status", "as of", "accuracy", "held-out", "ECE", "why")
    for model in trained:
        names = ("accuracy", "unseen_accuracy", "unseen_ece")
        told = [f"{model.metrics[n]:.3f}" if n in model.metrics else "-" for n in names]
        table.add_row(model.version, model.status, str(model.as_of), *told, model.reason)
    out.print(table)


@app.command()
def doctor() -> None:
    """Check every part of the installation and say what to do. Example: llm-pipeline doctor"""
    findings = health.examine(_parts())
    for finding in findings:
        style = "green" if finding.ok else "red"
        out.print("ok " if finding.ok else "bad", style=style, end=" ")
        out.print(f"{finding.part}: {finding.told}", soft_wrap=True)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


if __name__ == "__main__":
    main()
