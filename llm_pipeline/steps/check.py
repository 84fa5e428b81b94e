"""Check: run a quality gate over what is in the store; a failure holds what comes after it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from llm_pipeline.domain.gate import Figures
from llm_pipeline.domain.records import GateResult
from llm_pipeline.gates.running import InDatabase, Rows, validate
from llm_pipeline.store import gate_figures, gate_rows, quality
from llm_pipeline.store.engine import Database, Session, sparing


def check(database: Database, suite: str, actor: str, clock: Callable[[], datetime]) -> GateResult:
    """Run a suite, store its result with the rows it names, and raise or resolve the alert that
    belongs to it."""
    with sparing(database) as calm, calm.read() as session:
        asked = gate_rows.asked(session, suite)
        figures = gate_figures.figures(session, asked, clock())
        rows = _rows(session, asked, figures)
    found = validate(suite, rows, figures)
    named = [replace(row, kind=asked.kind) if row.kind == "row" else row for row in found.failing]
    result = replace(found, failing=tuple(named))
    with database.begin() as session:
        return replace(result, id=quality.record_gate(session, result, asked.as_of, actor, clock()))


def _rows(session: Session, asked: gate_rows.Asked, figures: Figures) -> Rows:
    if gate_rows.are_few(session, asked):
        return gate_rows.read(session, asked)
    counted = figures.values.get("texts")
    return InDatabase(
        url=gate_rows.address(session),
        query=gate_rows.sql(session, asked),
        rows=gate_rows.count(session, asked) if counted is None else int(counted),
        prepare=gate_rows.ask_names_only,
    )
