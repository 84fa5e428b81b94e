"""Slices of an upload: large while it is alone, small while somebody else writes."""

import threading
from pathlib import Path

import pytest

from llm_pipeline.domain import pacing
from llm_pipeline.domain.records import Submission
from llm_pipeline.steps.ingest import Job, Progress, ingest_file
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import log
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import write_csv

ROWS = [(f"TEXT {n:03}",) for n in range(400)]


@pytest.mark.parametrize("company", [False, True])
def test_slices_are_small_while_somebody_else_writes(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    company: bool,
) -> None:
    monkeypatch.setattr(pacing, "SLICE_ROWS", 100)
    monkeypatch.setattr(pacing, "SMALLEST_SLICE", 10)
    monkeypatch.setattr(pacing, "SLICE_SECONDS", 1e-6)
    told: list[int] = []

    def decide(progress: Progress) -> None:
        told.append(progress.done)
        if company and len(told) == 1:
            other = threading.Thread(target=_submit, args=(database, clock))
            other.start()
            other.join()

    path = write_csv(tmp_path / "rows.csv", ("text",), ROWS)
    upload = ingest_file(database, Job(path, "ann"), clock, decide)
    with database.read() as session:
        events = log.read_since(session, 0)
    slices = [
        event.payload["rows"]
        for event in events
        if event.name == "submission:received" and event.payload["upload_id"] == upload.id
    ]
    assert sum(slices) == 400
    # The one that was chosen before anybody came is as large as the first.
    assert slices == ([100, 100, *[10] * 20] if company else [100] * 4)


def test_who_has_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = pacing.Pace()
    pace.begin(5)
    pace.end(6, pacing.SLICE_ROWS, 0.2)
    assert pace.rows == pacing.SLICE_ROWS
    pace.begin(7)
    pace.end(8, pacing.SLICE_ROWS, 0.1)
    assert pace.rows == int(pacing.SLICE_ROWS * pacing.SLICE_SECONDS / 0.1)
    monkeypatch.setattr(pacing, "COMPANY_SECONDS", 0.0)
    pace.begin(9)
    pace.end(10, 600, 0.01)
    assert pace.rows == pacing.SLICE_ROWS


def _submit(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        submit(session, Submission("SOMEBODY ELSE"), "ben", clock())
