"""What `export` does: mappings or targets into a file, which appears once it is whole."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from llm_pipeline.domain.records import Status
from llm_pipeline.errors import InvalidInput, SetupError
from llm_pipeline.outgoing import MAPPINGS, TARGETS, Format, encoded
from llm_pipeline.store import export as stored
from llm_pipeline.store.engine import Session
from llm_pipeline.store.filters import Filter
from llm_pipeline.terminal import out, progress
from llm_pipeline.wiring import Parts

_ENDINGS = {
    ".csv": Format.CSV,
    ".csv.gz": Format.CSV,
    ".jsonl": Format.JSONL,
    ".parquet": Format.PARQUET,
}


def add_to(app: typer.Typer, parts: Callable[[], Parts]) -> None:
    """Add the command, which opens the installation when it is run."""

    @app.command("export")
    def export(
        file: Annotated[Path, typer.Argument(help="what to write: .csv(.gz), .jsonl, .parquet")],
        status: Annotated[Status | None, typer.Option(help="mappings of this status only")] = None,
        target: Annotated[str | None, typer.Option(help="of this target only, by key")] = None,
        text: Annotated[str, typer.Option(help="whose text holds these words")] = "",
        targets: Annotated[bool, typer.Option("--targets", help="the catalogue instead")] = False,
        overwrite: Annotated[bool, typer.Option(help="replace a file that is there")] = False,
    ) -> None:
        """Write mappings to a file. Example: llm-pipeline export live.csv --status approved"""
        wanted = Filter(text, status, target)
        export_file(parts(), file, wanted, targets=targets, overwrite=overwrite)


def export_file(
    parts: Parts, path: Path, wanted: Filter, *, targets: bool, overwrite: bool
) -> None:
    """Write a file; what breaks off leaves nothing behind."""
    form = _form(path)
    if path.exists() and not overwrite:
        raise InvalidInput(f"{path} is there already; replace it with --overwrite")
    partial = path.with_name(f"{path.name}.partial")
    try:
        with parts.read() as session:
            rows = _write(session, partial, form, wanted, targets=targets)
        partial.replace(path)
    except OSError as error:
        said = error.strerror or str(error)
        raise SetupError(f"{path} cannot be written: {said}. Choose another place") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    out.print(f"{rows:,} {'targets' if targets else 'mappings'} in {path}", soft_wrap=True)


def _form(path: Path) -> Format:
    for ending, form in _ENDINGS.items():
        if path.name.lower().endswith(ending):
            return form
    raise InvalidInput(f"{path.name} ends in none of {', '.join(_ENDINGS)}")


def _write(session: Session, partial: Path, form: Format, wanted: Filter, *, targets: bool) -> int:
    total = 0 if targets else stored.mapping_count(session, wanted)
    chunks = stored.target_rows(session) if targets else stored.mapping_rows(session, wanted)
    done = 0

    def counted() -> Iterator[stored.Rows]:
        nonlocal done
        for rows in chunks:
            done += len(rows)
            yield rows
            bar.update(bar.task_ids[0], completed=done, total=max(total, done))

    packed = partial.name.lower().endswith(".gz.partial")
    with (
        progress("exporting", total) as bar,
        (gzip.open if packed else open)(partial, "wb") as file,
    ):
        for piece in encoded(form, TARGETS if targets else MAPPINGS, counted()):
            file.write(piece)
    return done
