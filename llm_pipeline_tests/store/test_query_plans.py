"""What a change costs does not grow with the store: no statement goes through a whole table."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status
from llm_pipeline.steps import apply_plan
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import holding, label_errors, mappings, suggestions, training
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.store.mappings import Filter
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, submission
from llm_pipeline_tests.plan_factories import get, preview
from llm_pipeline_tests.templates import copy_store

LARGE = ("mappings", "decisions", "submissions", "live_spans", "plan_items", "events")
# What ended in one way may be most of a store, and each row of a file went through it all.
ALL_OF_A_STATUS = r"SEARCH \w+ USING (COVERING )?INDEX ix_mappings_status_id \(status=\?\)$"
# Other names under which the statements know these tables.
ALIASES = ("m", "d", "other", "later", "waiting", "w", "again", "decisions_1", "decisions_2")


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    path = tmp_path / "store.db"
    copy_store(path)
    engine = open_engine(f"sqlite:///{path}")
    # Else each INSERT seems to go through the tables that refer to its own; it never does.
    event.listen(engine, "connect", lambda made, _: made.execute("PRAGMA foreign_keys = OFF"))
    made = Database(engine)
    load_catalogue(made, clock)
    merge(made, clock, [("A", "GS"), ("A", "UBER"), ("B", "GS"), ("C", "GS"), ("D", "GS")])
    merge(made, clock, [("A", "NFLX"), ("E", "NFLX"), ("F", "GS")], trusted=True)
    merge(made, clock, [("A", "GS"), ("E", "GS")])
    yield made
    engine.dispose()


@contextmanager
def nothing_scanned(database: Database) -> Iterator[None]:
    """Ask SQLite how it runs each statement of a block."""
    scans: set[str] = set()
    tables = "|".join((*LARGE, *ALIASES))

    def explain(
        connection: Any, _cursor: Any, statement: str, given: Any, _c: Any, many: bool
    ) -> None:
        if not statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            return
        asked = connection.connection.driver_connection.cursor()
        rows = asked.execute(f"EXPLAIN QUERY PLAN {statement}", given[0] if many else given)
        for *_, how in rows:
            if re.match(rf"SCAN ({tables})( USING (COVERING )?INDEX .*)?$|{ALL_OF_A_STATUS}", how):
                scans.add(f"{how}: {' '.join(statement.split())}")

    event.listen(database.engine, "before_cursor_execute", explain)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", explain)
    assert scans == set()


@pytest.mark.parametrize(
    ("text", "action"),
    [
        *(("A", action) for action in (Action.APPROVE, Action.CORRECT, Action.REJECT, Action.SKIP)),
        ("B", Action.UNDO),
        ("F", Action.REOPEN),
    ],
)
def test_a_decision(database: Database, clock: Clock, text: str, action: Action) -> None:
    with database.begin() as session:
        found = {m.text: m for m in mappings.page(session, Filter(), None, 20).items[::-1]}
        one = found[text]
        if action is Action.UNDO:
            decide(session, one.id, Verdict(Action.APPROVE, one.version, "ann"), clock())
        one = mappings.get(session, one.id)
    with nothing_scanned(database), database.begin() as session:
        decide(session, one.id, Verdict(action, one.version, "ann", "UBER"), clock())


def test_a_submission_and_its_suggestion(database: Database, clock: Clock) -> None:
    with nothing_scanned(database), database.begin() as session:
        stored = submit(session, submission("new text", "GS"), "ann", clock())
        answer = Recognition("", State.MATCHED, "GS", 0.9, (Candidate("GS", 0.9, "model"),))
        suggestions.save(session, [(stored.id, answer)], "1")


@pytest.mark.parametrize("trusted", [False, True])
def test_a_chunk_of_a_file(database: Database, clock: Clock, trusted: bool) -> None:
    rows = [("A", "GS"), ("A", None), ("new", "GS"), ("B", "UBER")]
    with nothing_scanned(database):
        merge(database, clock, [row for row in rows if row[1] or not trusted], trusted=trusted)


@pytest.mark.parametrize("action", [Action.APPROVE, Action.CORRECT, Action.REJECT, Action.REOPEN])
def test_chunks_of_a_plan_and_of_its_undo(database: Database, clock: Clock, action: Action) -> None:
    target = "UBER" if action is Action.CORRECT else None
    found = preview(database, clock, action, target=target)
    with nothing_scanned(database):
        with database.begin() as session:
            apply_plan.begin_apply(session, found.id, found.digest, "ann", clock())
        apply_plan.run(database, found.id, clock, pause=0)
        with database.begin() as session:
            apply_plan.begin_undo(session, found.id, "ann", clock())
        apply_plan.run(database, found.id, clock, pause=0)
    assert get(database, found.id).undone > 0


def test_what_recognition_learns(database: Database, clock: Clock) -> None:
    found = preview(database, clock, Action.REJECT, Filter(status=Status.APPROVED))
    with nothing_scanned(database), database.read() as session:
        assert len(training.live_changes(session, 0)) == found.count


def test_what_every_page_asks_for(database: Database) -> None:
    with nothing_scanned(database), database.read() as session:
        assert training.learned_since(session, 0, most=2).texts == 2
        assert holding.held(session).mappings == 0
        assert label_errors.count(session) == 0
        assert label_errors.page(session, None, 10) == []
