"""How the command line looks: consoles, progress, and an answer as a table."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from llm_pipeline.domain.records import Recognition, State
from llm_pipeline.steps.recognize import MEMORY_ONLY

# No markup: texts, targets and messages may hold brackets of their own.
out = Console(markup=False)
notes = Console(stderr=True, markup=False)


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "")


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Progress]:
    """Show rows done, rows a second and the time left on stderr while a block runs, if that is a
    terminal; the task is `task_ids[0]`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as bar:
        bar.add_task(label, total=total)
        yield bar


def show(answer: Recognition, top_k: int) -> None:
    """Show one answer with its candidates and what speaks for them."""
    verdict = answer.target if answer.state is State.MATCHED else "unknown"
    out.print(f"{verdict}  (probability {answer.probability:.3f}, model {answer.model_version})")
    if answer.model_version == MEMORY_ONLY:
        out.print("no model yet, approved texts alone are known: run `llm-pipeline train`")
    table = Table("candidate", "probability", "evidence", "approved text it rests on")
    for found in answer.candidates[:top_k]:
        row = (found.target, f"{found.probability:.3f}", found.evidence, found.example or "")
        table.add_row(*row)
    out.print(table)
