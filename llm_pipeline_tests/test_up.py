"""What is prepared before the processes start."""

from pathlib import Path

from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from llm_pipeline.config import Settings
from llm_pipeline.up import prepare_dagster


def test_runs_that_a_crash_cut_off_hold_up_no_others(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    prepare_dagster(settings)
    home = str(settings.path("dagster"))
    given = (DagsterRunStatus.STARTED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.SUCCESS)
    with DagsterInstance.from_config(home) as instance:
        ids = [create_run_for_test(instance, "learning", status=one).run_id for one in given]
    prepare_dagster(settings)
    with DagsterInstance.from_config(home) as instance:
        found = [instance.get_run_by_id(one) for one in ids]
        failed = instance.all_logs(ids[0])[-1].message
    assert [run.status for run in found if run] == [
        DagsterRunStatus.FAILURE,
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.SUCCESS,
    ]
    assert failed == "its process ended before it did"
