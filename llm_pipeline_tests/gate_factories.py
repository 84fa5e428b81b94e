"""A store for gates: approved texts of five targets, some that wait, and how to harm them."""

from sqlalchemy import text

from llm_pipeline.domain.records import GateResult
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.automation_factories import arrive, suggest
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import labelled, load_catalogue, merge

RIGHT: list[tuple[str, str | None]] = list(labelled(8))


def run(database: Database, statement: str) -> None:
    with database.begin() as session:
        session.execute(text(statement))


def keys_of(result: GateResult, reason: str) -> list[str]:
    return [row.key for row in result.failing if reason in row.reason]


def fill(database: Database, clock: Clock) -> None:
    """120 approved texts of five targets, and three that wait with a suggestion."""
    load_catalogue(database, clock)
    merge(database, clock, RIGHT, trusted=True)
    with database.begin() as session:
        prepare(session, "ann", clock())
    for target, name in (("GS", "one"), ("UBER", "two"), ("SBUX", "three")):
        suggest(database, arrive(database, clock, [f"PLACE {name}"]), target, 0.7)
