"""The insights report: weekly series out of the store, and what was said beside what came."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from llm_pipeline.domain.forecast import SHORTEST_HISTORY
from llm_pipeline.domain.records import Submission
from llm_pipeline.steps.forecast import SILENCE, forecast
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import activity, log, quality
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.automation_factories import answer_audits, arrive, suggest
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue

MONDAY = datetime(2026, 3, 2, 0, 10, tzinfo=UTC)
COUNTS = [1, 2, 1, 3] * 8


def submit_weeks(database: Database, counts: list[int], monday: datetime = MONDAY) -> None:
    """Submissions late on the Sundays of whole weeks before a Monday, and one of that day."""
    with database.begin() as session:
        for week, number in enumerate(reversed(counts)):
            sunday = monday - timedelta(weeks=week, minutes=30)
            for _ in range(number):
                submit(session, Submission("A", occurred_at=sunday), "ann", monday)
        submit(session, Submission("A", occurred_at=monday), "ann", monday)


def written(database: Database, at: datetime = MONDAY) -> quality.Report:
    with database.begin() as session:
        return forecast(session, "ann", at)


def series(report: quality.Report, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in report.content["series"] if one["name"] == name)
    return found


@pytest.mark.parametrize("counts", [[], [1] * (SHORTEST_HISTORY - 1)])
def test_too_short_a_history_says_so(database: Database, counts: list[int]) -> None:
    submit_weeks(database, counts)
    found = series(written(database), "submissions")
    assert found["forecast"] is None
    assert found["reason"] == (
        f"{len(counts)} whole weeks of history without a gap, {SHORTEST_HISTORY} are needed"
    )


def test_the_next_week_is_forecast_from_whole_weeks_with_their_empty_ones(
    database: Database,
) -> None:
    submit_weeks(database, [*COUNTS, 0, 2])
    report = written(database)
    found = series(report, "submissions")
    assert [one["value"] for one in found["weeks"]] == [*COUNTS, 0, 2]
    assert (found["weeks"][-1]["week"], found["next_week"]) == ("2026-02-23", "2026-03-02")
    [near, *_] = found["forecast"]["weeks"]
    assert 0 <= near["low"] <= near["expected"] <= near["high"]
    assert report.verdict.startswith("submissions: 2 in the week of 2026-03-02 (")
    with database.read() as session:
        assert quality.latest_report(session, "insights") == report
        assert log.newest(session, 1)[0].name == "report:written"


@pytest.mark.parametrize(("silent", "begins_anew"), [(SILENCE, False), (SILENCE + 1, True)])
def test_history_begins_anew_after_a_long_silence(
    database: Database, silent: int, begins_anew: bool
) -> None:
    submit_weeks(database, [5, *[0] * silent, *COUNTS])
    found = series(written(database), "submissions")
    kept = COUNTS if begins_anew else [5, *[0] * silent, *COUNTS]
    assert [one["value"] for one in found["weeks"]] == kept


def test_what_was_said_is_kept_and_compared_with_what_came(database: Database) -> None:
    submit_weeks(database, COUNTS)
    first = written(database)
    again = written(database, MONDAY + timedelta(hours=1))
    assert first.content["said"] == again.content["said"]
    [said] = again.content["said"]
    assert (said["series"], said["week"], said["came"]) == ("submissions", "2026-03-02", None)
    with database.begin() as session:
        for _ in range(6):
            submit(session, Submission("A", occurred_at=MONDAY + timedelta(days=3)), "ann", MONDAY)
    over, new = written(database, MONDAY + timedelta(weeks=1)).content["said"]
    # One submission is of Monday itself.
    assert over == {**said, "came": 7.0}
    assert (new["week"], new["came"]) == ("2026-03-09", None)


def test_the_queue_is_what_reports_found_at_the_end_of_weeks(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    for week in range(SHORTEST_HISTORY + 1):
        arrive(database, clock, [f"TEXT {week}A", f"TEXT {week}B"])
        report = written(database, MONDAY + timedelta(weeks=week))
        if week == SHORTEST_HISTORY - 1:
            assert f"{week} whole weeks" in series(report, "queue")["reason"]
    found = series(report, "queue")
    assert [one["value"] for one in found["weeks"]] == [
        2.0 * (week + 1) for week in range(SHORTEST_HISTORY)
    ]
    assert found["forecast"] is not None


def test_hours_and_the_automatic_share_follow_from_what_was_settled(database: Database) -> None:
    with database.begin() as session:
        for week in range(1, SHORTEST_HISTORY + 1):
            monday = MONDAY - timedelta(weeks=week)
            activity.add(session, monday, "ann", {"approve": 20, "skip": 50})
            activity.add(session, monday + timedelta(hours=3), "ben", {"correct": 10})
            activity.add(session, monday, "policy 1", {activity.AUTO_APPROVED: 10 + week % 3})
    report = written(database)
    assert report.content["pace"] == 15
    hours, share = series(report, "reviewer_hours"), series(report, "automatic_share")
    assert {one["value"] for one in hours["weeks"]} == {2.0}
    assert hours["forecast"]["weeks"][0]["expected"] == pytest.approx(2)
    assert [one["value"] for one in share["weeks"]][-1] == pytest.approx(11 / 41)
    near = share["forecast"]["weeks"][0]
    assert 0.249 <= near["low"] <= near["expected"] <= near["high"] <= 0.29
    assert "automatic share: 26" in report.verdict


def test_without_decisions_there_is_no_pace(database: Database) -> None:
    assert "no pace" in series(written(database), "reviewer_hours")["reason"]


def test_accuracy_is_of_audits_drawn_by_lot_in_weeks_without_a_gap(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    for week in (0, 1, 3, 4):
        clock.time = MONDAY + timedelta(weeks=week, hours=9)
        texts = [f"SHOP {week} {name}" for name in "ABC"]
        suggest(database, arrive(database, clock, texts, share=1.0), "SBUX")
        answer_audits(database, clock, lambda text: "SBUX" if text.endswith("A") else None)
    found = series(written(database, MONDAY + timedelta(weeks=5)), "accuracy")
    assert found["weeks"] == [
        {"week": week, "value": pytest.approx(1 / 3)} for week in ("2026-03-23", "2026-03-30")
    ]
