"""What `search check` and `search rebuild` do."""

from collections.abc import Callable

import typer

from llm_pipeline.errors import SetupError
from llm_pipeline.store import reindex
from llm_pipeline.terminal import out, progress
from llm_pipeline.wiring import Parts

_SHOWN = 5


def commands(parts: Callable[[], Parts]) -> typer.Typer:
    """Return the commands, which open the installation when they are run."""
    search = typer.Typer(help="The search index.", no_args_is_help=True)

    @search.command("check")
    def search_check() -> None:
        """Compare the index with a recount of all mappings. Example: llm-pipeline search check"""
        check(parts())

    @search.command("rebuild")
    def search_rebuild() -> None:
        """Make the search index anew while others work on. Example: llm-pipeline search rebuild"""
        rebuild(parts())

    return search


def check(parts: Parts) -> None:
    """Tell whether the index is true; `SetupError` says what differs and what to do."""
    with parts.read() as session:
        found = reindex.check(session)
    if not found.is_true:
        wrong = [*found.differing, *found.lost_words]
        raise SetupError(
            f"the search index differs from the mappings in {len(wrong)} words or facets, "
            f"{wrong[:_SHOWN]} among them: run `llm-pipeline search rebuild`"
        )
    out.print(f"the search index is true: {found.mappings} mappings recounted")


def rebuild(parts: Parts) -> None:
    """Make the index anew."""
    with parts.read() as session:
        last = reindex.last_id(session)
    with progress("indexing mappings", max(last, 1)) as bar:
        reindex.rebuild(parts.database, lambda done: bar.update(bar.task_ids[0], completed=done))
    out.print("the search index was made anew; `llm-pipeline search check` compares it")
