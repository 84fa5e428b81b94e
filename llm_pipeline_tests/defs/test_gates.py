"""Each gate as Dagster runs it: what it blocks in its own run, and what it holds in later ones."""

from datetime import timedelta
from pathlib import Path

import pytest
from dagster import DagsterInstance, Definitions, RunRequest
from sqlalchemy import text

from llm_pipeline.defs import sensors
from llm_pipeline.defs.resources import Pipeline
from llm_pipeline.defs.sensors import new_submissions
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.steps.check import check
from llm_pipeline.store import breaker, gate_rows
from llm_pipeline.store.engine import Database
from llm_pipeline.wiring import Parts
from llm_pipeline_tests.automation_factories import arrive, proven
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.defs.running import run, tick
from llm_pipeline_tests.factories import ingest_rows

# A gate, the job it stands in, how its data is broken and mended, and the asset behind it.
GATES = [
    (
        "submissions",
        "recognition",
        "UPDATE submissions SET text = ' ' WHERE id = 3",
        "UPDATE submissions SET text = 'mended' WHERE id = 3",
        "recognized_submissions",
    ),
    (
        "approved_mappings",
        "learning",
        "UPDATE mappings SET target_id = NULL WHERE id = 3",
        "UPDATE mappings SET target_id = 1 WHERE id = 3",
        "training_set",
    ),
    (
        "training_set",
        "learning",
        "UPDATE mappings SET text = '' WHERE id = 3",
        "UPDATE mappings SET text = normalized WHERE id = 3",
        "trained_model",
    ),
]


def _run(database: Database, statement: str) -> None:
    with database.begin() as session:
        session.execute(text(statement))


@pytest.mark.parametrize("where", ["memory", "database"])
@pytest.mark.parametrize(("suite", "job", "breaks", "mends", "behind"), GATES)
def test_a_gate_blocks_its_run_and_holds_later_ones_until_the_data_is_mended(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    suite: str,
    job: str,
    breaks: str,
    mends: str,
    behind: str,
) -> None:
    if where == "database":
        monkeypatch.setattr(gate_rows, "FEW", 0)
    ingest_rows(filled.database, clock, tmp_path, [("UBER TRIP QUITO 9", "")], name="new.csv")
    assert run(definitions, instance, job).success
    _run(filled.database, breaks)

    blocked = run(definitions, instance, job)
    later = run(definitions, instance, job, behind)
    _run(filled.database, mends)
    mended = run(definitions, instance, job)

    assert not blocked.success
    assert blocked.asset_materializations_for_node(behind) == []
    assert not later.success
    assert later.asset_materializations_for_node(behind) == []
    (failed,) = [e for e in blocked.get_asset_check_evaluations() if not e.passed]
    shown = {name: value.value for name, value in failed.metadata.items()}
    assert failed.check_name == f"gate_{suite}"
    assert shown["rows_named"] == 1
    assert shown["ran"] == ("in the database" if where == "database" else "in memory")
    assert f"/gates?suite={suite}&result=" in str(shown["failing_rows"])
    assert mended.success
    assert len(mended.asset_materializations_for_node(behind)) == 1


def test_recognition_is_asked_for_again_once_its_gate_passes_and_hourly_until_then(
    definitions: Definitions,
    instance: DagsterInstance,
    filled: Parts,
    pipeline: Pipeline,
    clock: Clock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensors, "now", lambda: clock.time)
    ingest_rows(filled.database, clock, tmp_path, [("UBER TRIP QUITO 9", "")], name="new.csv")
    keys = []

    def ticked() -> None:
        asked = tick(new_submissions, instance, pipeline, definitions)
        assert isinstance(asked, RunRequest)
        keys.append(asked.run_key)

    ticked()
    _run(filled.database, "UPDATE submissions SET text = ' ' WHERE id = 3")
    for _ in range(2):
        assert not run(definitions, instance, "recognition").success
        ticked()
    clock.time += timedelta(hours=1)
    ticked()
    _run(filled.database, "UPDATE submissions SET text = 'mended' WHERE id = 3")
    assert check(filled.database, "submissions", "tests", clock).success
    ticked()
    ticked()

    first, held, held_still, next_hour, passed, passed_still = keys
    assert held == held_still, "a run that fails its gate is not asked for at once again"
    assert passed == passed_still
    assert len({first, held, next_hour, passed}) == 4


def test_a_failed_gate_of_predictions_holds_automatic_approval_in_later_runs(
    definitions: Definitions, instance: DagsterInstance, filled: Parts, clock: Clock
) -> None:
    proven(filled.database, clock, probability=0.8)
    ids = arrive(filled.database, clock, ["UBER TRIP BOSTON 5550 CA"])
    _run(
        filled.database,
        f"UPDATE mappings SET probability = 1.5, suggested_target_id = 1, model_version = 'memory'"
        f" WHERE id = {ids[0]}",
    )

    blocked = run(definitions, instance, "recognition")
    later = run(definitions, instance, "recognition", "automatic_approvals")

    assert not blocked.success
    assert blocked.asset_materializations_for_node("automatic_approvals") == []
    (shown,) = later.asset_materializations_for_node("automatic_approvals")
    assert shown.metadata["approved"].value == 0
    assert "the gate predictions failed" in str(shown.metadata["held"].value)
    with filled.read() as session:
        (stop,) = breaker.open_stops(session)
    assert "probability is outside 0 to 1" in stop.reason
    _run(filled.database, f"UPDATE mappings SET probability = 0.5 WHERE id = {ids[0]}")
    assert run(definitions, instance, "recognition").success
    assert approve_waiting(filled.database, "tests", clock).held == ""
