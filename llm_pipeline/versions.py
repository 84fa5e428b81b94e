"""What `train`, `promote` and `rollback` do: another model answers."""

from collections.abc import Callable
from typing import Annotated

import typer

from llm_pipeline import loop
from llm_pipeline.steps.promote import promote as promote_version
from llm_pipeline.steps.rollback import previous
from llm_pipeline.steps.rollback import rollback as roll_back
from llm_pipeline.terminal import out
from llm_pipeline.wiring import Parts, now

Why = Annotated[str, typer.Option(help="why, for the log and MLflow")]


def add_to(app: typer.Typer, parts: Callable[[], Parts], actor: str) -> None:
    """Add the commands, which open the installation when they are run."""

    @app.command()
    def train(
        reason: Why = "by hand",
        promote: Annotated[
            bool, typer.Option(help="promote the challenger if it is better")
        ] = True,
    ) -> None:
        """Gate, train, evaluate, register, and promote if better. Example: llm-pipeline train"""
        done = loop.learn(parts(), reason, actor, promote=promote)
        out.print(
            f"model {done.model.version}, as of offset {done.model.as_of}: "
            f"{done.model.metrics['training_seconds']:.1f} s; {done.compared.verdict.reason}"
        )

    @app.command()
    def promote(
        version: Annotated[str, typer.Argument(help="the version that is to answer")],
        reason: Why = "by hand",
    ) -> None:
        """Let a version answer, whatever the comparison said. Example: llm-pipeline promote 3"""
        opened = parts()
        with opened.begin() as session:
            promote_version(session, opened.registry, version, reason, actor, now())
        out.print(f"model {version} is the champion")

    @app.command()
    def rollback(
        version: Annotated[
            str | None,
            typer.Argument(help="one that answered before  [the one that answered last]"),
        ] = None,
        reason: Why = "by hand",
    ) -> None:
        """Let a model that answered before answer again. Example: llm-pipeline rollback"""
        opened = parts()
        with opened.read() as session:
            _, before = previous(session, version)
        opened.load_model(before.version)
        with opened.begin() as session:
            replaced = roll_back(session, opened.registry, reason, actor, now(), version)
        out.print(f"model {before.version} answers again instead of model {replaced.version}")
