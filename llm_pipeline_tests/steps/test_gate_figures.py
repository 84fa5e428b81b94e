"""Numbers about all rows of a gate: each fails on data built for it, with what it counted named."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from llm_pipeline.domain.held_out import is_held_out
from llm_pipeline.domain.learning_events import AlertResolved
from llm_pipeline.domain.records import GateResult
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.steps.check import check
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.store import activity, log
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.automation_factories import arrive, suggest, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge
from llm_pipeline_tests.gate_factories import RIGHT, keys_of, run


def test_a_changed_table_fails_every_gate_that_looks_at_it(filled: Database, clock: Clock) -> None:
    if filled.engine.dialect.name == "sqlite":
        run(filled, "ALTER TABLE mappings RENAME COLUMN note TO remark")
        undo = "ALTER TABLE mappings RENAME COLUMN remark TO note"
    else:
        run(filled, "ALTER TABLE mappings ALTER COLUMN note DROP NOT NULL")
        undo = "ALTER TABLE mappings ALTER COLUMN note SET NOT NULL"
    try:
        result = check(filled, "approved_mappings", "ann", clock)
    finally:
        run(filled, undo)
    assert keys_of(result, "tables are not those") == ["mappings.note"]
    assert not result.success


def test_a_row_of_a_file_that_came_twice_is_named(filled: Database, clock: Clock) -> None:
    run(filled, 'UPDATE submissions SET "row" = 2 WHERE id IN (1, 2, 3) AND upload_id = 1')
    result = check(filled, "submissions", "ann", clock)
    assert keys_of(result, "taken in twice") == ["upload 1, row 2"]
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
    run(filled, "UPDATE mappings SET key = 'other' WHERE id = 8")
    one = check(filled, "training_set", "ann", clock)
    run(filled, "UPDATE mappings SET key = 'other' WHERE id BETWEEN 8 AND 20")
    many = check(filled, "training_set", "ann", clock)
    assert (one.severity, set(keys_of(one, "does not follow"))) == ("warning", {"8"})
    assert (many.success, len(keys_of(many, "do not follow"))) == (False, 13)


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
        log.append(session, clock(), AlertResolved("ann", 1, "tests"))
        prepare(session, "ann", clock())
    result = check(filled, "training_set", "ann", clock)
    assert [f["reason"] for f in result.failures] == ["it is much smaller than the one before"]
    assert result.figures["volume_ratio"] == pytest.approx(0.6)
