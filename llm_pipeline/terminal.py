"""How the command line looks: consoles, progress, and answers as lines or as a table."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from llm_pipeline.domain.records import Recognition, State
from llm_pipeline.steps.recognize import MEMORY_ONLY

# No markup: texts, targets and messages may hold brackets of their own.
out = Console(markup=False)
notes = Console(stderr=True, markup=False)


@contextmanager
def progress(label: str, total: int) -> Iterator[Progress]:
    """Show a bar on stderr while a block runs; its task is `task_ids[0]`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes) as bar:
        bar.add_task(label, total=total)
        yield bar


def print_lines(answers: list[Recognition]) -> None:
    """Write answers as JSON, one a line."""
    for answer in answers:
        line = {
            "text": answer.text,
            "state": answer.state,
            "target": answer.target,
            "probability": round(answer.probability, 4),
            "model": answer.model_version,
        }
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


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
