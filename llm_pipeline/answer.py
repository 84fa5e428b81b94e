"""What `llm-pipeline recognize` does: answers a text as a table, or a file into a file."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from llm_pipeline import tabular
from llm_pipeline.batch import Job, recognize_file
from llm_pipeline.domain.records import State
from llm_pipeline.errors import InvalidInput
from llm_pipeline.terminal import notes, out, progress, show
from llm_pipeline.unfinished import Standing
from llm_pipeline.wiring import Parts


def names_a_file(text: str) -> bool:
    """Return whether a text is the path of a table; InvalidInput if it is another file's, or if no
    such table is there."""
    path = Path(text)
    if not _is_file(path):
        if tabular.kind(path):
            raise InvalidInput(f"there is no file {text}")
        return False
    if not tabular.kind(path):
        raise InvalidInput(
            f"{text} is a file, but its name ends in none of {', '.join(tabular.KINDS)}"
        )
    return True


def answer_text(parts: Parts, text: str, top_k: int) -> None:
    show(parts.serving().recognize([text], top_k)[0], top_k)


def answer_file(parts: Parts, job: Job, *, resume: bool, overwrite: bool) -> None:
    """Recognise a file with its progress on the terminal, and tell what came of it."""
    total = tabular.open_source(job.source, job.encoding).rows() if notes.is_terminal else 0
    started = perf_counter()
    with _terminable(), progress(f"recognising {job.source.name}", total) as bar:

        def hear(rows: int) -> None:
            bar.update(bar.task_ids[0], completed=rows)

        def say(told: str) -> None:
            bar.console.print(told, soft_wrap=True)

        done = recognize_file(parts, job, hear, say, resume=resume, overwrite=overwrite)
    _tell(done, job.output, perf_counter() - started)


def _tell(done: Standing, output: Path, seconds: float) -> None:
    counts = ", ".join(
        f"{done.outcomes.get(state, 0):,} {state.value.replace('_', ' ')}" for state in State
    )
    out.print(f"{done.rows:,} rows in {seconds:.1f} s: {counts}", soft_wrap=True)
    out.print(f"answers in {output}", soft_wrap=True)
    if done.outcomes.get(State.NOT_ATTEMPTED):
        out.print("its last column says why rows were not attempted")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than the name of any file
        return False


@contextmanager
def _terminable() -> Iterator[None]:
    """Let `kill` end this block as an exit, so that what it holds is put in order."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
