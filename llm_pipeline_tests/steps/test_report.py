"""The quality report: drift on an injected shift and on nothing else, freshness, one verdict."""

from datetime import timedelta
from random import Random

import pytest

from llm_pipeline.domain.stream_drift import Seen, compare_data
from llm_pipeline.model.quality_plots import quality_picture
from llm_pipeline.steps.check import check
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.report import report_quality
from llm_pipeline.store import alerts, freshness, quality
from llm_pipeline.store.engine import Database
from llm_pipeline.store.quality import Report
from llm_pipeline_tests.automation_factories import arrive, suggest, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge

SHOPS = [(f"{word(n)} shop", ("SBUX", "AMZN", "UBER", "NFLX", "GS")[n % 5]) for n in range(200)]
DICE = Random(11)  # noqa: S311 (a test has to see the same stream again)


def _week(database: Database, clock: Clock, rows: list[tuple[str, str | None]]) -> None:
    begin = clock.time
    for start in range(0, len(rows), 300):
        clock.time = begin + timedelta(hours=start // 300)
        merge(database, clock, rows[start : start + 300], trusted=True)
    clock.time = begin + timedelta(days=7)


def _usual(number: int = 600) -> list[tuple[str, str | None]]:
    return [DICE.choice(SHOPS) for _ in range(number)]


def _report(database: Database, clock: Clock) -> Report:
    with database.begin() as session:
        return report_quality(session, "ann", clock())


@pytest.fixture
def stream(database: Database, clock: Clock) -> Database:
    """Six ordinary weeks."""
    load_catalogue(database, clock)
    for _ in range(6):
        _week(database, clock, _usual())
    return database


def test_ordinary_weeks_are_no_drift(stream: Database, clock: Clock) -> None:
    for _ in range(3):
        _week(stream, clock, _usual())
        drift = _report(stream, clock).content["drift"]
        assert drift["told"] == "what arrives looks like what arrived before"
        assert [part["large"] for part in drift["parts"]] == [False] * 4
    with stream.read() as session:
        assert alerts.open_alerts(session) == []


SHIFTS = {
    "text length": [(f"{text} {'x' * 80}", target) for text, target in SHOPS],
    "words": [(f"{text} premium", target) for text, target in SHOPS],
    "targets": [(text, "GS") for text, _ in SHOPS],
    "new texts": [(f"{text} {n}", target) for n, (text, target) in enumerate(SHOPS * 3)],
}


@pytest.mark.parametrize("what", SHIFTS)
def test_a_shift_is_told_raised_and_over_when_it_is(
    stream: Database, clock: Clock, what: str
) -> None:
    shifted: list[tuple[str, str | None]] = [DICE.choice(SHIFTS[what]) for _ in range(300)]
    _week(stream, clock, [*_usual(300), *shifted])
    report = _report(stream, clock)
    with stream.read() as session:
        (alert,) = (one for one in alerts.open_alerts(session) if one.rule == "data_drift")
    assert what in report.verdict.partition("drifted: ")[2]
    assert what in alert.message
    assert alert.severity == "warning"
    for _ in range(9):
        _week(stream, clock, _usual(400))
    assert "drifted" not in _report(stream, clock).verdict
    with stream.read() as session:
        assert [a for a in alerts.open_alerts(session) if a.rule == "data_drift"] == []


def test_too_few_rows_tell_nothing(database: Database, clock: Clock) -> None:
    report = _report(database, clock)
    assert report.content["drift"]["told"].startswith("0 recent and 0 earlier submissions")
    assert report.content["drift"]["parts"] == []
    assert quality_picture(report.content).startswith(b"\x89PNG")


def test_the_picture_is_drawn_from_what_is_kept(stream: Database, clock: Clock) -> None:
    _week(stream, clock, _usual())
    written = _report(stream, clock)
    with stream.read() as session:
        kept = quality.get_report(session, written.id)
        assert quality.report_count(session, "quality") == 1
    assert quality_picture(kept.content).startswith(b"\x89PNG")
    assert len(quality_picture(kept.content)) > 20_000


def test_a_warning_is_part_of_the_verdict(stream: Database, clock: Clock) -> None:
    merge(
        stream, clock, [(f"{text} {n}", "GS") for n in range(10) for text, _ in SHOPS], trusted=True
    )
    check(stream, "approved_mappings", "ann", clock)
    assert _report(stream, clock).content["gates"]["approved_mappings"]["severity"] == "warning"
    assert "warned: approved_mappings" in _report(stream, clock).verdict


def test_what_is_behind_is_stale(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")], trusted=True)
    suggest(database, arrive(database, clock, ["B"]), "GS")
    with database.begin() as session:
        prepare(session, "ann", clock())
    assert "stale" not in _report(database, clock).verdict
    clock.time += timedelta(days=2)
    late = _report(database, clock)
    for suite in ("submissions", "predictions"):
        check(database, suite, "ann", clock)
    assert late.verdict == "stale: gate submissions, gate predictions, gate training_set"
    assert _report(database, clock).verdict == "stale: gate training_set"
    with database.read() as session:
        (training_set,) = (f for f in freshness.look(session, clock()) if f.what == "training set")
    assert not training_set.is_stale


def test_the_largest_change_is_named() -> None:
    old = [Seen("uber trip", "UBER", False)] * 2_000
    new = [Seen("uber trip", "UBER", False)] * 300 + [Seen("uber trip", None, False)] * 200
    (part,) = compare_data(old, new).large
    assert part.explain().endswith("'UBER' went from 100.0 % to 60.0 %")
