"""Gates over what is stored: in memory and inside the database alike, rows named by their keys."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text, update

from llm_pipeline.errors import GateFailed, NotFound
from llm_pipeline.gates.running import InDatabase
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.loop import learn
from llm_pipeline.steps.check import check
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.recognize import Serving, recognize_waiting
from llm_pipeline.store import catalogue, failing_rows, gate_rows, log, quality
from llm_pipeline.store.engine import Database
from llm_pipeline.store.schema import submissions
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.automation_factories import word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, load_catalogue, merge
from llm_pipeline_tests.gate_factories import RIGHT, keys_of, run

# A statement for each way of harm, what the gate then says, how bad that is, and of which rows.
HARM: list[tuple[str, str, str, str, list[str]]] = [
    (
        "submissions",
        "UPDATE submissions SET text = '  ' WHERE id = 7",
        "cannot be read",
        "critical",
        ["7"],
    ),
    (
        "submissions",
        "UPDATE submissions SET text = 'a' || '\x1b' WHERE id IN (3, 9)",
        "control character",
        "critical",
        ["3", "9"],
    ),
    (
        "submissions",
        "UPDATE submissions SET text = replace('0123456789', '0', text || text || text || text) "
        "|| substr(replace(replace('----------', '-', '----------'), '-', '=====================')"
        ", 1, 2100) WHERE id = 5",
        "over 2000",
        "critical",
        ["5"],
    ),
    (
        "approved_mappings",
        "UPDATE mappings SET target_id = NULL WHERE id IN (2, 4)",
        "no entry of the catalogue",
        "critical",
        ["2", "4"],
    ),
    (
        "approved_mappings",
        "UPDATE mappings SET normalized = '' WHERE id = 6",
        "without any word",
        "critical",
        ["6"],
    ),
    (
        "training_set",
        "UPDATE mappings SET target_id = NULL WHERE id = 11",
        "does not know",
        "critical",
        ["11"],
    ),
    ("training_set", "UPDATE mappings SET text = '' WHERE id = 12", "empty or", "critical", ["12"]),
    (
        "predictions",
        "UPDATE mappings SET probability = 1.5 WHERE id = 121",
        "outside 0 to 1",
        "critical",
        ["121"],
    ),
    (
        "predictions",
        "UPDATE mappings SET probability = NULL WHERE id = 122",
        "no probability",
        "critical",
        ["122"],
    ),
    (
        "predictions",
        "UPDATE mappings SET probability = 1 WHERE id <> 123",
        "claim to be certain",
        "warning",
        ["121", "122"],
    ),
]


@pytest.mark.parametrize("suite", list(SUITES))
def test_rows_in_order_pass(filled: Database, clock: Clock, suite: str, where: str) -> None:
    result = check(filled, suite, "ann", clock)
    assert (result.success, result.failures) == (True, ())
    assert result.in_database is (where == "database")
    assert result.rows == {"predictions": 3, "submissions": 123}.get(suite, 120)


@pytest.mark.parametrize(("suite", "statement", "reason", "severity", "keys"), HARM)
def test_what_breaks_a_rule_is_named_by_its_key(
    filled: Database,
    clock: Clock,
    where: str,
    suite: str,
    statement: str,
    reason: str,
    severity: str,
    keys: list[str],
) -> None:
    run(filled, statement)
    result = check(filled, suite, "ann", clock)
    assert keys_of(result, reason) == keys
    assert (result.severity, result.success) == (severity, severity == "warning")
    kind = "submission" if suite == "submissions" else "mapping"
    with filled.read() as session:
        kept = failing_rows.page(session, result.id, None, 100)
        assert failing_rows.count(session, result.id) == len(kept)
    assert [(row.kind, row.key) for row in kept if reason in row.reason] == [
        (kind, key) for key in keys
    ]
    assert result.in_database is (where == "database")


def test_an_amount_without_end_is_named(filled: Database, clock: Clock, where: str) -> None:
    with filled.begin() as session:
        wanted = submissions.c.id == 5
        session.execute(update(submissions).where(wanted).values(amount=float("inf")))
    result = check(filled, "submissions", "ann", clock)
    assert keys_of(result, "the amount is not a number") == ["5"]
    assert result.in_database is (where == "database")


def test_a_duplicate_is_named_with_its_twin(filled: Database, clock: Clock, where: str) -> None:
    run(filled, "DROP INDEX uq_mappings_live_normalized")
    run(filled, "UPDATE mappings SET normalized = 'twin' WHERE id IN (20, 21)")
    for suite, reason in (("approved_mappings", "two live"), ("training_set", "twice")):
        result = check(filled, suite, "ann", clock)
        assert sorted(keys_of(result, reason)) == ["20", "21"]
        assert result.in_database is (where == "database")
    run(
        filled,
        "UPDATE mappings SET normalized = normalized || id WHERE id IN (20, 21)",
    )
    run(
        filled,
        "CREATE UNIQUE INDEX uq_mappings_live_normalized ON mappings (normalized) "
        "WHERE status IN ('approved', 'auto_approved')",
    )


def test_a_retired_target_is_named_by_what_points_at_it(
    filled: Database, clock: Clock, where: str
) -> None:
    with filled.begin() as session:
        catalogue.retire(session, ["GS"], clock(), log.next_offset(session))
    live, frozen, answers = (
        check(filled, suite, "ann", clock)
        for suite in ("approved_mappings", "training_set", "predictions")
    )
    assert (live.severity, len(keys_of(live, "retired or unknown"))) == ("warning", 24)
    assert (frozen.severity, len(keys_of(frozen, "retired or unknown"))) == ("critical", 24)
    assert keys_of(answers, "retired or unknown") == ["121"]
    assert answers.in_database is (where == "database")


@pytest.mark.parametrize(
    ("suite", "statement", "held"),
    [
        (
            "submissions",
            "UPDATE submissions SET text = ' ' WHERE id = 1",
            lambda database, clock: recognize_waiting(
                database, Serving(lambda _version: pytest.fail("not asked")), "ann", clock
            ),
        ),
        (
            "approved_mappings",
            "UPDATE mappings SET target_id = NULL WHERE id = 1",
            lambda database, clock: _prepared(database, clock),
        ),
    ],
)
def test_a_failed_gate_holds_whoever_comes_later(
    filled: Database,
    clock: Clock,
    suite: str,
    statement: str,
    held: Callable[[Database, Clock], object],
) -> None:
    held(filled, clock)
    run(filled, statement)
    check(filled, suite, "ann", clock)
    with pytest.raises(GateFailed, match=f"the gate {suite} failed at offset"):
        held(filled, clock)
    run(filled, "UPDATE submissions SET text = 'mended' WHERE id = 1")
    run(filled, "UPDATE mappings SET target_id = 1 WHERE id = 1")
    assert check(filled, suite, "ann", clock).success
    held(filled, clock)


def _prepared(database: Database, clock: Clock) -> object:
    with database.begin() as session:
        return prepare(session, "ann", clock())


def test_a_good_file_does_not_mend_what_is_stored(
    filled: Database, clock: Clock, tmp_path: Any
) -> None:
    run(filled, "UPDATE submissions SET text = ' ' WHERE id = 1")
    check(filled, "submissions", "ann", clock)
    ingest_rows(filled, clock, tmp_path, [("NEW SHOP", "GS")])
    with filled.read() as session:
        newest = quality.latest_gate(session, "submissions")
        failed = quality.held_by(session, "submissions")
        open_now = session.scalar(text("SELECT count(*) FROM alerts WHERE resolved_at IS NULL"))
    assert newest is not None
    assert (newest.success, newest.upload_id is None) == (True, False)
    assert failed is not None
    assert open_now == 1


def test_submissions_that_passed_are_not_looked_at_for_ever(
    filled: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_rows, "NEWEST", 10)
    first = check(filled, "submissions", "ann", clock)
    merge(filled, clock, [(f"SHOP {word(n)}", None) for n in range(30)])
    second, third = (check(filled, "submissions", "ann", clock) for _ in range(2))
    run(filled, "UPDATE submissions SET text = ' ' WHERE id = 153")
    failed = check(filled, "submissions", "ann", clock)
    merge(filled, clock, [(f"CAFE {word(n)}", None) for n in range(30)])
    again = check(filled, "submissions", "ann", clock)
    assert [one.rows for one in (first, second, third, failed, again)] == [123, 30, 10, 10, 31]
    assert keys_of(again, "text cannot be read")[:1] == ["153"]


def test_the_rows_of_the_last_results_are_kept(
    filled: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing_rows, "KEPT", 2)
    run(filled, "UPDATE mappings SET target_id = NULL WHERE id IN (1, 2, 3)")
    results = [check(filled, "approved_mappings", "ann", clock).id for _ in range(4)]
    with filled.read() as session:
        assert [failing_rows.count(session, one) for one in results] == [0, 0, 6, 6]
        first = failing_rows.page(session, results[-1], None, 2)
        rest = failing_rows.page(session, results[-1], first[-1].id, 10)
        assert failing_rows.named(session, "approved_mappings") == results[-1]
        assert failing_rows.named(session, "training_set") is None
        with pytest.raises(NotFound, match="there is no gate result 999"):
            failing_rows.page(session, 999, None, 10)
    assert [row.key for row in (*first, *rest)][:3] == ["1", "2", "3"]


def test_the_commands_gate_what_they_build_on(parts: Parts, clock: Clock) -> None:
    load_catalogue(parts.database, clock)
    merge(parts.database, clock, RIGHT, trusted=True)
    run(parts.database, "UPDATE mappings SET target_id = NULL WHERE id = 1")
    with pytest.raises(GateFailed, match="approved_mappings failed: a live mapping points at no"):
        learn(parts, "tests", "ann")


def test_a_query_for_a_database_is_plain_sql(filled: Database) -> None:
    with filled.read() as session:
        for suite in SUITES:
            asked = gate_rows.asked(session, suite)
            rows = InDatabase(
                gate_rows.address(session),
                gate_rows.sql(session, asked),
                gate_rows.count(session, asked),
                gate_rows.ask_names_only,
            )
            assert rows.rows == len(session.execute(text(rows.query)).fetchall())
