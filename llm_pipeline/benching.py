"""What `bench replay` does: a labelled file played month by month, beside what others would do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from llm_pipeline.domain.approval import MOST
from llm_pipeline.replaying import peers, report
from llm_pipeline.replaying.approver import Settings
from llm_pipeline.replaying.player import play
from llm_pipeline.replaying.stream import Period, read_stream
from llm_pipeline.replaying.tally import Line
from llm_pipeline.terminal import out, progress

Hear = Callable[[int], None]


def commands() -> typer.Typer:
    """Return the commands; none of them touches the installation."""
    bench = typer.Typer(help="Measure on your own data.", no_args_is_help=True)

    @bench.callback()
    def several() -> None:
        """Measure on your own data."""

    @bench.command()
    def replay(
        file: Annotated[Path, typer.Argument(help="CSV or Parquet, labelled", show_default=False)],
        text: Annotated[str, typer.Option(help="column of the text")] = "text",
        target: Annotated[str, typer.Option(help="column of the right target")] = "target",
        time: Annotated[str, typer.Option(help="column of the period, as 2018-01")] = "time",
        max_error: Annotated[
            list[float], typer.Option(help="bound of automatic approval; may be repeated")
        ] = [0.02, 0.05],  # noqa: B006  # typer copies it
        most: Annotated[
            float, typer.Option(help="above 0.5, answers that are rather wrong may be approved")
        ] = MOST,
        seed: Annotated[int, typer.Option(help="of the lots")] = 0,
        folder: Annotated[Path, typer.Option("--out", help="table and plots")] = Path("replay"),
        policy_only: Annotated[bool, typer.Option(help="leave the others out")] = False,
    ) -> None:
        """Play automatic approval on a labelled file. Example: llm-pipeline bench replay FILE"""
        stream = read_stream(file, text, target, time)
        played = dict(_policies(stream, max_error, most, seed))
        if not policy_only:
            played |= _others(stream, max_error)
        summaries = report.write(played, folder)
        out.print(report.markdown(summaries), soft_wrap=True)
        out.print(f"table and plots are in {folder}", soft_wrap=True)

    return bench


def _policies(
    stream: Sequence[Period], max_errors: Sequence[float], most: float, seed: int
) -> Iterator[tuple[str, list[Line]]]:
    for max_error in max_errors:
        name = f"policy, {100 * max_error:g} %"
        with _told(name, stream) as hear:
            yield name, play(stream, Settings(max_error, most=most, seed=seed), hear)


def _others(stream: Sequence[Period], max_errors: Sequence[float]) -> dict[str, list[Line]]:
    played = {"by hand, each text": peers.by_hand(stream)}
    played["exact memory"] = peers.exact_memory(stream)
    for memory in (False, True):
        name = f"logistic regression >= {peers.SURE:g}" + (" + memory" if memory else "")
        with _told(name, stream) as hear:
            played[name] = peers.logistic_regression(stream, memory=memory, hear=hear)
    for max_error in max_errors:
        played[f"oracle, {100 * max_error:g} %"] = peers.oracle(stream, max_error)
    return played


@contextmanager
def _told(name: str, stream: Sequence[Period]) -> Iterator[Hear]:
    with progress(name, len(stream)) as bar:
        yield lambda done: bar.update(bar.task_ids[0], completed=done)
