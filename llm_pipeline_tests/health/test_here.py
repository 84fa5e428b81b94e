"""What a process sees of its own installation."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_pipeline.config import Settings
from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.health import here
from llm_pipeline.health.looking import Looker
from llm_pipeline.steps.ingest import Job, accept
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import log, models
from llm_pipeline.wiring import Parts, now
from llm_pipeline_tests.api.live_server import TARGETS
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge


def looked(parts: Parts, patience: float = 5.0) -> dict[str, Seen]:
    return {one.component: one for one in Looker(here.checks(parts), patience).look()}


def test_an_installation_that_is_well(parts: Parts) -> None:
    found = looked(parts)
    assert {name: one.status for name, one in found.items()} == dict.fromkeys(
        ("Database", "Disk", "Memory", "Model", "Background work"), Health.OK
    )
    assert found["Database"].detail.startswith("sqlite read in")


def test_a_store_that_lets_nobody_write_is_down(parts: Parts) -> None:
    with parts.engine.connect() as other:
        other.exec_driver_sql("COMMIT")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        found = looked(parts, patience=0.2)
        other.exec_driver_sql("ROLLBACK")
        other.exec_driver_sql("BEGIN")
    assert found["Database"].reason == "has not answered for 0 s"
    assert found["Model"].status is Health.OK, "it is read all the same"


@pytest.mark.parametrize(
    ("share", "status"), [(0.5, Health.OK), (1.5, Health.DEGRADED), (15.0, Health.DOWN)]
)
def test_a_disk_is_judged_by_the_limit_that_is_set(
    parts: Parts, share: float, status: Health
) -> None:
    free_mb = shutil.disk_usage(parts.settings.path()).free / 2**20
    parts.settings.low_disk_mb = int(free_mb * share)
    found = looked(parts)["Disk"]
    assert found.status is status
    assert ("free some space" in found.reason) == (status is not Health.OK)


def test_a_model_is_old_only_if_there_is_something_to_learn(parts: Parts, clock: Clock) -> None:
    trained = now() - timedelta(days=40)
    with parts.begin() as session:
        load_targets(session, TARGETS, "tests", now())
        offset = log.latest(session)
        made = models.StoredModel("1", "run", offset, "challenger", {}, "", trained, None)
        models.add_challenger(session, made)
        models.promote(session, "1", "first", trained)
    assert looked(parts)["Model"].status is Health.OK
    merge(parts.database, clock, [("MOON CAFE", "SBUX")], trusted=True)
    found = looked(parts)["Model"]
    assert found.status is Health.DEGRADED
    assert found.reason == "trained 40 days ago: trigger a training"


def test_an_upload_that_stands_still_is_told(parts: Parts, tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("text\nMOON CAFE\n")
    began = now() - timedelta(minutes=10)
    accept(parts.database, Job(path, "tests"), "digest", began)
    found = looked(parts)["Background work"]
    assert found.status is Health.DEGRADED
    assert "upload 1 (texts.csv) stands at row 0" in found.reason


def test_a_store_that_is_gone_is_down_and_hides_nothing(parts: Parts) -> None:
    with parts.begin() as session:
        session.execute(text("DROP TABLE events"))
    found = looked(parts)
    assert found["Database"].status is Health.DOWN
    assert "events" in found["Database"].reason
    assert found["Disk"].status is Health.OK


def test_settings_of_limits_must_mean_something() -> None:
    with pytest.raises(ValueError, match="low_disk_mb"):
        Settings(low_disk_mb=0)
