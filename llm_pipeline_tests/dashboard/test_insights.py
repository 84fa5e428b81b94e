"""The page of forecasts, drawn from a report that was really written."""

from datetime import UTC, datetime, timedelta

from llm_pipeline.dashboard.insights import drawn
from llm_pipeline.domain.records import Submission
from llm_pipeline.steps.forecast import forecast
from llm_pipeline.steps.submit import submit
from llm_pipeline.store.engine import Database

MONDAY = datetime(2026, 3, 2, 0, 10, tzinfo=UTC)


def shown(database: Database, at: datetime, read: datetime | None = None) -> str:
    with database.begin() as session:
        report = forecast(session, "ann", at)
    return str(drawn(report, (read or at).date()))


def test_shows_forecasts_their_errors_and_why_others_are_missing(database: Database) -> None:
    with database.begin() as session:
        for week in range(1, 33):
            for _ in range(1 + week % 3):
                at = MONDAY - timedelta(weeks=week)
                submit(session, Submission("A", occurred_at=at), "ann", MONDAY)
        submit(session, Submission("A", occurred_at=MONDAY), "ann", MONDAY)
    first = shown(database, MONDAY)
    assert "<td>2026-03-02</td>" in first
    assert "Tried on the last 20 weeks" in first
    assert "No forecast" in first
    assert "nobody decided anything in the last eight weeks" in first.lower()
    assert "forecast here and over since" not in first
    assert "have begun or are over" not in first
    later = shown(database, MONDAY, read=MONDAY + timedelta(weeks=9))
    assert "Nothing in these numbers is of a week after 2026-02-23" in later
    assert "Of 1 week forecast here and over since" in shown(database, MONDAY + timedelta(weeks=1))
