"""Gates over what is stored: in memory and inside the database alike, rows named by their keys."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from llm_pipeline.domain.held_out import is_held_out
from llm_pipeline.domain.records import GateResult
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.errors import GateFailed, NotFound
from llm_pipeline.gates.running import InDatabase
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.loop import learn
from llm_pipeline.steps.check import check
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.recognize import Serving, recognize_waiting
from llm_pipeline.store import activity, catalogue, failing_rows, gate_rows, log, quality
from llm_pipeline.store.engine import Database
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.automation_factories import arrive, suggest, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, labelled, load_catalogue, merge

RIGHT: list[tuple[str, str | None]] = list(labelled(8))
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


@pytest.fixture(params=["memory", "database"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small tables are read, large ones stay where they are; here every table counts as either."""
    if request.param == "database":
        monkeypatch.setattr(gate_rows, "FEW", 0)
    return str(request.param)


@pytest.fixture
def filled(database: Database, clock: Clock) -> Database:
    """120 approved texts of five targets, and three that wait with a suggestion."""
    load_catalogue(database, clock)
    merge(database, clock, RIGHT, trusted=True)
    with database.begin() as session:
        prepare(session, "ann", clock())
    for target, name in (("GS", "one"), ("UBER", "two"), ("SBUX", "three")):
        suggest(database, arrive(database, clock, [f"PLACE {name}"]), target, 0.7)
    return database


def _run(database: Database, statement: str) -> None:
    with database.begin() as session:
        session.execute(text(statement))


def _keys(result: GateResult, reason: str) -> list[str]:
    return [row.key for row in result.failing if reason in row.reason]


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
    _run(filled, statement)
    result = check(filled, suite, "ann", clock)
    assert _keys(result, reason) == keys
    assert (result.severity, result.success) == (severity, severity == "warning")
    kind = "submission" if suite == "submissions" else "mapping"
    with filled.read() as session:
        kept = failing_rows.page(session, result.id, None, 100)
        assert failing_rows.count(session, result.id) == len(kept)
    assert [(row.kind, row.key) for row in kept if reason in row.reason] == [
        (kind, key) for key in keys
    ]
    assert result.in_database is (where == "database")


def test_a_duplicate_is_named_with_its_twin(filled: Database, clock: Clock, where: str) -> None:
    _run(filled, "DROP INDEX uq_mappings_live_normalized")
    _run(filled, "UPDATE mappings SET normalized = 'twin' WHERE id IN (20, 21)")
    for suite, reason in (("approved_mappings", "two live"), ("training_set", "twice")):
        result = check(filled, suite, "ann", clock)
        assert sorted(_keys(result, reason)) == ["20", "21"]
        assert result.in_database is (where == "database")
    _run(
        filled,
        "UPDATE mappings SET normalized = normalized || id WHERE id IN (20, 21)",
    )
    _run(
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
    assert (live.severity, len(_keys(live, "retired target"))) == ("warning", 24)
    assert (frozen.severity, len(_keys(frozen, "retired or unknown"))) == ("critical", 24)
    assert _keys(answers, "retired or unknown") == ["121"]
    assert answers.in_database is (where == "database")


def test_a_changed_table_fails_every_gate_that_looks_at_it(filled: Database, clock: Clock) -> None:
    if filled.engine.dialect.name == "sqlite":
        _run(filled, "ALTER TABLE mappings RENAME COLUMN note TO remark")
        undo = "ALTER TABLE mappings RENAME COLUMN remark TO note"
    else:
        _run(filled, "ALTER TABLE mappings ALTER COLUMN note DROP NOT NULL")
        undo = "ALTER TABLE mappings ALTER COLUMN note SET NOT NULL"
    try:
        result = check(filled, "approved_mappings", "ann", clock)
    finally:
        _run(filled, undo)
    assert _keys(result, "tables are not those") == ["mappings.note"]
    assert not result.success


def test_a_row_of_a_file_that_came_twice_is_named(filled: Database, clock: Clock) -> None:
    _run(filled, 'UPDATE submissions SET "row" = 2 WHERE id IN (1, 2, 3) AND upload_id = 1')
    result = check(filled, "submissions", "ann", clock)
    assert _keys(result, "taken in twice") == ["upload 1, row 2"]
    assert result.figures["doubled_rows"] == 1.0


def _volume(database: Database, clock: Clock, weeks: list[int]) -> GateResult:
    begin = clock.time
    for week, rows in enumerate(weeks):
        with database.begin() as session:
            at = begin + timedelta(weeks=week, hours=1)
            activity.add(session, at, "upload", {activity.RECEIVED: rows})
    clock.time = begin + timedelta(weeks=len(weeks))
    return check(database, "submissions", "ann", clock)


@pytest.mark.parametrize(
    ("weeks", "ratio", "severity"),
    [
        ([100, 100, 100, 100, 100, 100], 1.0, "none"),
        ([100, 100, 100, 100, 100, 600], 6.0, "warning"),
        ([100, 100, 100, 100, 100, 10], 0.1, "warning"),
        ([100, 100], None, "none"),
    ],
)
def test_a_week_is_compared_with_the_four_before(
    database: Database, clock: Clock, weeks: list[int], ratio: float | None, severity: str
) -> None:
    result = _volume(database, clock, weeks)
    assert (result.figures["volume_ratio"], result.severity) == (ratio, severity)
    assert result.success


def _forms() -> tuple[str, str]:
    """Two texts of the same letters, of which only the second tests."""
    for number in range(1_000):
        name = word(number)
        together, apart = f"{name}cafe", f"{name} cafe"
        keys = [group_key(normalize(one)) for one in (together, apart)]
        if [is_held_out(key) for key in keys] == [False, True]:
            return together, apart
    raise AssertionError("a tenth of the keys test")


def test_texts_that_test_and_teach_are_found(filled: Database, clock: Clock) -> None:
    teaches, tests = _forms()
    rows: list[tuple[str, str | None]] = [(teaches, "GS"), (tests, "GS")]
    rows += [(f"{tests} {number}", "GS") for number in range(6)]
    merge(filled, clock, rows, trusted=True)
    with filled.begin() as session:
        prepare(session, "ann", clock())
    result = check(filled, "training_set", "ann", clock)
    assert result.figures["leaked_share"] == pytest.approx(7 / 12.8)
    assert not result.success
    assert {row.key for row in result.failing} == {tests}


def test_forms_that_do_not_follow_from_their_texts_are_found(
    filled: Database, clock: Clock
) -> None:
    _run(filled, "UPDATE mappings SET key = 'other' WHERE id = 8")
    one = check(filled, "training_set", "ann", clock)
    _run(filled, "UPDATE mappings SET key = 'other' WHERE id BETWEEN 8 AND 20")
    many = check(filled, "training_set", "ann", clock)
    assert (one.severity, set(_keys(one, "does not follow"))) == ("warning", {"8"})
    assert (many.success, len(_keys(many, "do not follow"))) == (False, 13)


def test_unbalanced_labels_and_answers_are_warned_of(filled: Database, clock: Clock) -> None:
    merge(filled, clock, [(f"SHOP {word(n)}", "GS") for n in range(1_200)], trusted=True)
    ids = arrive(filled, clock, [f"CAFE {word(n)}" for n in range(200)])
    suggest(filled, ids, "SBUX", 0.6)
    live = check(filled, "approved_mappings", "ann", clock)
    answers = check(filled, "predictions", "ann", clock)
    suggest(filled, ids, None)
    silent = check(filled, "predictions", "ann", clock)
    assert live.figures["largest_share"] == pytest.approx(1_224 / 1_320)
    assert [f["reason"] for f in live.failures] == ["nearly all texts mean one target"]
    assert [f["reason"] for f in answers.failures] == ["nearly all answers are one target"]
    assert [f["reason"] for f in silent.failures] == ["hardly any text has an answer"]
    assert live.success
    assert answers.success


def test_conflicts_are_counted(filled: Database, clock: Clock) -> None:
    waiting = [f"CAFE {word(n)}" for n in range(97)]
    merge(filled, clock, [(words, "NFLX") for words in waiting])
    merge(filled, clock, [(words, "GS") for words in waiting[:20]])
    merge(filled, clock, [(words, "SBUX") for words, _ in RIGHT[30:60]], trusted=True)
    came = check(filled, "submissions", "ann", clock)
    with filled.begin() as session:
        prepare(session, "ann", clock())
    frozen = check(filled, "training_set", "ann", clock)
    assert came.figures["conflict_share"] == pytest.approx(20 / 100)
    assert [f["reason"] for f in came.failures] == ["senders disagree about many texts"]
    assert [f["reason"] for f in frozen.failures] == ["many texts changed their label"]


def test_a_training_set_that_shrank_is_warned_of(filled: Database, clock: Clock) -> None:
    with filled.begin() as session:
        session.execute(text("UPDATE training_sets SET texts = 200"))
        log.append(session, clock(), *_nothing())
        prepare(session, "ann", clock())
    result = check(filled, "training_set", "ann", clock)
    assert [f["reason"] for f in result.failures] == ["it is much smaller than the one before"]
    assert result.figures["volume_ratio"] == pytest.approx(0.6)


def _nothing() -> list[Any]:
    from llm_pipeline.domain.learning_events import AlertResolved

    return [AlertResolved("ann", 1, "tests")]


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
    _run(filled, statement)
    check(filled, suite, "ann", clock)
    with pytest.raises(GateFailed, match=f"the gate {suite} failed at offset"):
        held(filled, clock)
    _run(filled, "UPDATE submissions SET text = 'mended' WHERE id = 1")
    _run(filled, "UPDATE mappings SET target_id = 1 WHERE id = 1")
    assert check(filled, suite, "ann", clock).success
    held(filled, clock)


def _prepared(database: Database, clock: Clock) -> object:
    with database.begin() as session:
        return prepare(session, "ann", clock())


def test_a_good_file_does_not_mend_what_is_stored(
    filled: Database, clock: Clock, tmp_path: Any
) -> None:
    _run(filled, "UPDATE submissions SET text = ' ' WHERE id = 1")
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
    _run(filled, "UPDATE submissions SET text = ' ' WHERE id = 153")
    failed = check(filled, "submissions", "ann", clock)
    merge(filled, clock, [(f"CAFE {word(n)}", None) for n in range(30)])
    again = check(filled, "submissions", "ann", clock)
    assert [one.rows for one in (first, second, third, failed, again)] == [123, 30, 10, 10, 31]
    assert _keys(again, "text cannot be read")[:1] == ["153"]


def test_the_rows_of_the_last_results_are_kept(
    filled: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing_rows, "KEPT", 2)
    _run(filled, "UPDATE mappings SET target_id = NULL WHERE id IN (1, 2, 3)")
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
    _run(parts.database, "UPDATE mappings SET target_id = NULL WHERE id = 1")
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
            )
            assert rows.rows == len(session.execute(text(rows.query)).fetchall())
