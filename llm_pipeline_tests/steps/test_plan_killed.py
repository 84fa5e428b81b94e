"""A process that is killed in the midst of a plan leaves whole chunks, and the next one goes on."""

import signal
import subprocess
import sys
from collections import Counter

import pytest
from sqlalchemy import select

from llm_pipeline.domain.plans import PlanStatus
from llm_pipeline.domain.records import Action
from llm_pipeline.steps import apply_plan
from llm_pipeline.store.engine import Database
from llm_pipeline.store.schema import decisions
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge
from llm_pipeline_tests.plan_factories import get, preview, state, undo

# Runs a plan in chunks of two and kills itself before its n-th statement.
DYING = """
import os, signal, sys
from datetime import UTC, datetime
from sqlalchemy import event
from llm_pipeline.steps import apply_plan
from llm_pipeline.store.engine import Database, open_engine

url, plan_id, left = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
engine = open_engine(url)

@event.listens_for(engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

apply_plan.CHUNK = 2
apply_plan.run(Database(engine), plan_id, lambda: datetime.now(UTC), pause=0)
"""


@pytest.mark.parametrize("undoing", [False, True])
def test_nothing_is_lost_or_doubled(
    database: Database, store_url: str, clock: Clock, undoing: bool
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [(name, "GS") for name in "ABCDEFGHI"], trusted=True)
    merge(database, clock, [(name, "UBER") for name in "ABCDEFGHI"])
    with database.read() as session:
        before = state(session)
    found = preview(database, clock, Action.APPROVE)
    with database.begin() as session:
        apply_plan.begin_apply(session, found.id, found.digest, "bob", clock())
    if undoing:
        apply_plan.run(database, found.id, clock, pause=0)
        with database.begin() as session:
            apply_plan.begin_undo(session, found.id, "eve", clock())
    for statement in (5, 30, 47, 64):
        command = [sys.executable, "-c", DYING, store_url, str(found.id), str(statement)]
        done = subprocess.run(command, check=False, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert 0 < get(database, found.id).progress < found.count
    apply_plan.run(database, found.id, clock, pause=0)
    finished = get(database, found.id)
    assert finished.status is (PlanStatus.UNDONE if undoing else PlanStatus.APPLIED)
    assert (finished.progress, finished.decided, finished.kept) == (9, 9, 0)
    with database.read() as session:
        d = decisions.c
        acts = Counter(session.execute(select(d.mapping_id, d.undoes.is_(None))).all())
    assert set(acts.values()) == {1}
    if not undoing:
        undo(database, clock, found.id)
    with database.read() as session:
        assert state(session) == before
