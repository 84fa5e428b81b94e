"""What is prepared before the processes start, and how they end."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from llm_pipeline import processes
from llm_pipeline.config import Settings
from llm_pipeline.up import prepare_dagster
from llm_pipeline_tests.api.live_server import free_port, wait_for


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


@pytest.mark.parametrize("told", ["its own process", "the shell"])
def test_nothing_of_mlflow_outlives_it(tmp_path: Path, told: str) -> None:
    """Its server starts another process that serves, which a `kill -9` of the first leaves be."""
    settings = Settings(home=tmp_path, mlflow_port=free_port())
    command = ["sh", "-c", processes.commands(settings)["mlflow"]]
    environment = processes.environment(settings)
    with subprocess.Popen(command, env=environment, start_new_session=True) as shell:
        try:
            wait_for(lambda: processes.answers(f"{settings.mlflow_url}/health"))
            (first,) = psutil.Process(shell.pid).children()
            assert first.children()
            if told == "the shell":
                shell.terminate()
                assert shell.wait(60) == 128 + signal.SIGTERM
            else:
                first.kill()
                assert shell.wait(60) == 128 + signal.SIGKILL
            wait_for(lambda: not processes.answers(f"{settings.mlflow_url}/health"))
        finally:
            # Whatever fails above must not be waited for.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
