"""Whatever happens to mappings, the tables that repeat what they say equal a recount."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from llm_pipeline.domain.plans import MAKES
from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status
from llm_pipeline.domain.review import Order
from llm_pipeline.errors import PipelineError
from llm_pipeline.steps.lease_groups import Wish, lease_groups
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.settle_group import Ruling, settle_group
from llm_pipeline.steps.undo_group import undo_group
from llm_pipeline.store import activity, mappings, suggestions, touched
from llm_pipeline.store import plans as stored
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.schema import decisions, submissions
from llm_pipeline.store.schema import mappings as table
from llm_pipeline.store.schema_derived import (
    activity_counts,
    review_groups,
    status_counts,
    target_counts,
)
from llm_pipeline_tests import plan_factories as plans
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge

KEYS = ("SBUX", "AMZN", "UBER", None)


def counted(session: Session) -> dict[str, Any]:
    """What the derived tables say."""
    groups = session.execute(select(review_groups)).all()
    return {
        "status": {row[:2]: row[2:] for row in session.execute(select(status_counts)) if row[2]},
        "target": {row[:2]: row[2:] for row in session.execute(select(target_counts)) if row[2]},
        "groups": {
            g.key: (g.mappings, g.rows, g.conflicts, g.oldest_id, g.versions) for g in groups
        },
        "value": {g.key: pytest.approx(g.value) for g in groups},
        "uncertainty": {g.key: pytest.approx(g.uncertainty) for g in groups},
    }


def recounted(session: Session) -> dict[str, Any]:
    """The same, from the mappings one by one."""
    status: dict[Any, Counter[str]] = {}
    target: dict[Any, Counter[str]] = {}
    groups: dict[str, list[Any]] = {}
    for m in session.execute(select(table).order_by(table.c.id)):
        for counters, at in (
            (status, (m.status, str(m.created_at.date()))),
            (target, (m.target_id or m.proposed_target_id or 0, m.status)),
        ):
            counters.setdefault(at, Counter()).update({"mappings": 1, "rows": m.rows})
        if m.status == "pending":
            groups.setdefault(m.key, []).append(m)
    value = {k: sum(m.rows * (1 - (m.probability or 0)) for m in g) for k, g in groups.items()}
    return {
        "status": {at: tuple(counter.values()) for at, counter in status.items()},
        "target": {at: tuple(counter.values()) for at, counter in target.items()},
        "groups": {
            k: (
                len(g),
                sum(m.rows for m in g),
                sum(m.conflict for m in g),
                g[0].id,
                sum(m.version for m in g),
            )
            for k, g in groups.items()
        },
        "value": value,
        "uncertainty": {k: value[k] / sum(m.rows for m in g) for k, g in groups.items()},
    }


def submit(database: Database, clock: Clock, dice: random.Random) -> None:
    rows = [
        (f"shop {dice.choice('abcd')} {dice.randrange(6)}", dice.choice(KEYS))
        for _ in range(dice.randrange(1, 6))
    ]
    merge(database, clock, rows)


def trust(database: Database, clock: Clock, dice: random.Random) -> None:
    key = dice.choice(KEYS[:3])
    merge(database, clock, [(f"shop {dice.choice('abcd')} {dice.randrange(6)}", key)], trusted=True)


def review(database: Database, clock: Clock, dice: random.Random) -> None:
    action, key = dice.choice(list(Action)), dice.choice(KEYS)
    with database.read() as session:
        found = mappings.page(session, mappings.Filter(), None, 1000).items
    one = dice.choice(found)
    try:
        with database.begin() as session:
            decide(session, one.id, Verdict(action, one.version, "ann", key), clock())
    except PipelineError:
        return  # not every action fits; nothing must have changed then


def review_group(database: Database, clock: Clock, dice: random.Random) -> None:
    who, share = dice.choice("ab"), dice.choice([0.0, 0.3])
    clock.time += timedelta(minutes=dice.choice([0, 0, 15]))
    with database.begin() as session:
        held = lease_groups(session, Wish(who, dice.choice(list(Order)), 1), clock())
    if dice.random() < 0.3:
        submit(database, clock, dice)
    for one in held[:1]:
        groups = (one.group, *one.near)[: dice.randrange(1, 3)]
        action = dice.choice([Action.APPROVE, Action.CORRECT, Action.REJECT, Action.SKIP])
        seen = tuple(group.seen for group in groups)
        ruling = Ruling(action, who, seen, dice.choice(KEYS), share=share)
        try:
            done = settle_group(database, ruling, clock)
            if dice.random() < 0.4:
                undo_group(database, done.id, who, "", clock)
        except PipelineError:
            return


def suggest(database: Database, clock: Clock, dice: random.Random) -> None:
    with database.begin() as session:
        waiting = suggestions.waiting(session, str(clock()), 0, 10)
        sure = Candidate("SBUX", dice.random(), "model")
        answers = [
            (m.id, Recognition(m.text, State.MATCHED, "SBUX", 0.5, (sure,))) for m in waiting
        ]
        suggestions.save(session, answers, "1")


def apply_plan(database: Database, clock: Clock, dice: random.Random) -> None:
    action, key = dice.choice(list(MAKES)), dice.choice(KEYS)
    status = dice.choice([None, *Status])
    try:
        found = plans.preview(database, clock, action, mappings.Filter(status=status), key)
    except PipelineError:
        return  # not every action takes a target
    if dice.random() < 0.5:
        review(database, clock, dice)
    plans.apply(database, clock, found)


def undo_plan(database: Database, clock: Clock, dice: random.Random) -> None:
    with database.read() as session:
        applied = [p.id for p in stored.page(session, None, 1000) if p.status == "applied"]
    if applied:
        plans.undo(database, clock, dice.choice(applied))


ACTS: tuple[Callable[[Database, Clock, random.Random], None], ...] = (
    submit,
    trust,
    review,
    review,
    review,
    review_group,
    review_group,
    suggest,
    apply_plan,
    undo_plan,
)


@pytest.mark.parametrize("seed", range(6))
def test_derived_tables_equal_a_recount(database: Database, clock: Clock, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    load_catalogue(database, clock)
    submit(database, clock, dice)
    for _ in range(60):
        dice.choice(ACTS)(database, clock, dice)
    with database.read() as session:
        assert counted(session) == recounted(session)
        acts = Counter(session.scalars(select(decisions.c.action)))
        rows = len(session.execute(select(submissions.c.id)).all())
        assert {a: activity.total(session, a) for a in acts} == acts
        assert activity.total(session, activity.RECEIVED) == rows
        assert {row.hour.minute for row in session.execute(select(activity_counts))} == {0}


def test_rebuilding_gives_the_same(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A 1", "SBUX"), ("A 2", None), ("B", "UBER")])
    with database.begin() as session:
        before = counted(session)
        session.execute(text("DELETE FROM status_counts"))
        session.execute(text("UPDATE review_groups SET rows = 7"))
        touched.rebuild(session)
        assert counted(session) == before
