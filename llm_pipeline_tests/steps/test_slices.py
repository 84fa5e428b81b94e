"""Files merged in slices come to what the same rows come to one chunk at a time."""

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from llm_pipeline import reading_ahead
from llm_pipeline.domain import pacing
from llm_pipeline.domain.records import Action, Status
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import mappings, sorting
from llm_pipeline.store.engine import Database, migrate, open_engine
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, load_catalogue, merge
from llm_pipeline_tests.store.test_touched import counted, recounted

KEYS = ("SBUX", "AMZN", "UBER")
STORED = {
    "mappings m LEFT JOIN targets t ON t.id = m.target_id "
    "LEFT JOIN targets p ON p.id = m.proposed_target_id": "m.text, m.normalized, m.key, m.status, "
    "t.key, p.key, CASE WHEN m.conflict THEN 1 ELSE 0 END, m.rows, m.version, m.submitter",
    "submissions s JOIN mappings m ON m.id = s.mapping_id": "s.upload_id, s.row, s.line, s.text, "
    "s.target_id, m.text, m.status, m.target_id",
    "live_spans l JOIN mappings m ON m.id = l.mapping_id": "m.text, l.target_id, l.ended_by",
}


def _stored(database: Database) -> dict[str, list[Any]]:
    with database.read() as session:
        return {
            table: sorted(map(str, session.execute(text(f"SELECT {columns} FROM {table}"))))
            for table, columns in STORED.items()
        }


def _chunk(drawn: random.Random, *, trusted: bool) -> list[tuple[str, str | None]]:
    """Rows of few texts in several spellings, so that most meet another."""
    keys = KEYS if trusted else (*KEYS[:2], None, None)
    forms = ("Shop {}", "SHOP  {}", "shop-{}!")
    numbers = range(drawn.choice((3, 12)))
    return [
        (drawn.choice(forms).format(drawn.choice("abcd") * (1 + n % 3)), drawn.choice(keys))
        for n in numbers
    ]


def _decide_something(database: Database, clock: Clock, drawn: random.Random) -> None:
    with database.read() as session:
        waiting = mappings.page(session, mappings.Filter(status=Status.PENDING), None, 50).items
    if waiting:
        one = drawn.choice(sorted(waiting, key=lambda mapping: mapping.normalized))
        action = Action.APPROVE if one.proposed_target is not None else Action.REJECT
        with database.begin() as session:
            decide(session, one.id, Verdict(action, one.version, "ann"), clock())


@pytest.mark.parametrize("seed", range(6))
def test_slices_and_chunks_come_to_the_same(
    database: Database, clock: Clock, tmp_path: Path, seed: int
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'other.db'}")
    migrate(engine)
    other = Database(engine)
    for each in (database, other):
        load_catalogue(each, clock)
        drawn = random.Random(seed)  # noqa: S311
        for number in range(8):
            trusted = drawn.random() < 0.4
            rows = _chunk(drawn, trusted=trusted)
            if each is database:
                named = [(said, key or "") for said, key in rows]
                name = f"{number}.csv"
                ingest_rows(each, clock, tmp_path, named, approved=trusted, name=name)
            else:
                merge(each, clock, rows, trusted=trusted)
            _decide_something(each, clock, drawn)
    found, expected = _stored(database), _stored(other)
    engine.dispose()
    assert found == expected
    with database.read() as session:
        assert counted(session) == recounted(session)


@pytest.mark.parametrize("approved", [False, True])
def test_a_text_with_more_rows_than_a_slice_is_merged_in_several(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    approved: bool,
) -> None:
    monkeypatch.setattr(sorting, "MOST_OF_A_TEXT", 3)
    monkeypatch.setattr(pacing, "SLICE_ROWS", 5)
    monkeypatch.setattr(pacing, "SMALLEST_SLICE", 5)
    load_catalogue(database, clock)
    rows = [("A", "GS"), ("B", "UBER")] * 9 + [("A", "UBER"), ("A", "GS"), ("B", "NFLX")]
    ingest_rows(database, clock, tmp_path, rows, approved=approved)
    with database.read() as session:
        found = mappings.page(session, mappings.Filter(), None, 9).items
        assert counted(session) == recounted(session)
    live = {(m.text, m.target): m.rows for m in found if m.target and m.status == "approved"}
    waiting = {m.text: (m.proposed_target, m.conflict, m.rows) for m in found}
    if approved:
        assert live == {("A", "GS"): 10, ("B", "NFLX"): 1}
    else:
        assert waiting == {"A": ("GS", True, 11), "B": ("UBER", True, 10)}


@pytest.mark.parametrize("approved", [False, True])
def test_rows_of_one_text_in_several_runs_are_taken_in_the_order_of_the_file(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    approved: bool,
) -> None:
    monkeypatch.setattr(reading_ahead, "LONGEST_RUN", 1)
    monkeypatch.setattr("llm_pipeline.readers.pieces.PIECE", 10)
    load_catalogue(database, clock)
    rows = [("B", "GS"), ("A", "GS"), ("A", "UBER"), ("A", "NFLX"), ("B", "GS")] * 3
    ingest_rows(database, clock, tmp_path, [*rows, ("A", "UBER")], approved=approved)
    with database.read() as session:
        a = [m for m in mappings.page(session, mappings.Filter(), None, 9).items if m.text == "A"]
    live = [(m.target, m.rows) for m in a if m.status == "approved"]
    assert live == ([("UBER", 4)] if approved else [])
    assert sum(m.rows for m in a) == 10
