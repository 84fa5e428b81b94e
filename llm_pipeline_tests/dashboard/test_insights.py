"""The page of forecasts, drawn from a report that was really written."""

from datetime import UTC, datetime, timedelta

from llm_pipeline.dashboard.insights import NAMES, kept
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.domain.records import Submission
from llm_pipeline.steps.forecast import forecast
from llm_pipeline.steps.submit import submit
from llm_pipeline.store.engine import Database

MONDAY = datetime(2026, 3, 2, 0, 10, tzinfo=UTC)


def shown(database: Database, at: datetime) -> str:
    with database.begin() as session:
        report = forecast(session, "ann", at)
    series, said = report.content["series"], report.content["said"]
    held = {one["name"]: kept(said, one["name"]) for one in series}
    return str(
        rendered("insights.html", report=report, series=series, names=NAMES, kept=held, needed=30)
    )


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
    assert "Of 1 week forecast here and over since" in shown(database, MONDAY + timedelta(weeks=1))
