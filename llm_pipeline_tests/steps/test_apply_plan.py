"""A plan changes exactly what its preview froze, and its undo puts everything back."""

from threading import Event, Thread

import pytest
from sqlalchemy import select

from llm_pipeline.domain.plans import PlanStatus
from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.steps import apply_plan
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import catalogue, log, mappings, plans, suggestions
from llm_pipeline.store.engine import Database
from llm_pipeline.store.mappings import Filter
from llm_pipeline.store.schema import decisions
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, standing
from llm_pipeline_tests.plan_factories import apply, get, preview, state, undo

PENDING = Filter(status=Status.PENDING)


@pytest.fixture(autouse=True)
def _catalogue(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply_plan, "CHUNK", 2)


def _decide(
    database: Database, clock: Clock, mapping: int, action: Action, target: str | None = None
) -> None:
    with database.begin() as session:
        version = mappings.get(session, mapping).version
        decide(session, mapping, Verdict(action, version, "zoe", target), clock())


def _mixed(database: Database, clock: Clock) -> None:
    """A conflict, a text that waits beside its live mapping, live ones, a rejected one."""
    merge(database, clock, [("A", "GS"), ("B", "UBER"), ("F", "GS")], trusted=True)
    merge(database, clock, [("A", "AMZN"), ("C", "GS"), ("C", "UBER"), ("D", "GS"), ("E", None)])
    with database.begin() as session:
        sure = Candidate("UBER", 0.9, "model")
        answer = Recognition("", State.MATCHED, "UBER", 0.9, (sure,))
        suggestions.save(session, [(7, answer)], "1")
    _decide(database, clock, 3, Action.REJECT)


@pytest.mark.parametrize(
    ("action", "target", "after"),
    [
        (
            Action.APPROVE,
            None,
            [
                *("retired GS", "approved UBER", "rejected -"),
                *("approved AMZN", "approved GS", "approved GS", "approved UBER"),
            ],
        ),
        (
            Action.APPROVE,
            "NFLX",
            ["retired GS", "approved UBER", "rejected -", *["approved NFLX"] * 4],
        ),
        (
            Action.CORRECT,
            "UBER",
            ["retired GS", "approved UBER", "rejected -", *["approved UBER"] * 4],
        ),
        (Action.REJECT, None, ["rejected -"] * 7),
        (Action.REOPEN, None, ["approved GS", *["pending -"] * 6]),
    ],
)
def test_an_undo_puts_everything_back(
    database: Database, clock: Clock, action: Action, target: str | None, after: list[str]
) -> None:
    _mixed(database, clock)
    with database.read() as session:
        before = state(session)
    found = apply(database, clock, preview(database, clock, action, target=target))
    now = [f"{row[1]} {row[2] or '-'}" for row in standing(database)]
    assert now == after
    assert (found.status, found.progress) == (PlanStatus.APPLIED, found.count)
    assert (found.decided, found.changed_since) == (found.count, 0)
    taken_back = undo(database, clock, found.id)
    assert (taken_back.status, taken_back.undone, taken_back.kept) == (
        PlanStatus.UNDONE,
        found.count,
        0,
    )
    with database.read() as session:
        assert state(session) == before


def test_each_decision_tells_who_why_and_by_which_plan(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS")])
    found = apply(database, clock, preview(database, clock, Action.APPROVE))
    undo(database, clock, found.id)
    d = decisions.c
    with database.read() as session:
        rows = session.execute(select(d.action, d.actor, d.reason, d.plan_id, d.undoes)).all()
    assert [tuple(row) for row in rows] == [
        ("approve", "bob", "why", found.id, None),
        ("undo", "eve", "why", found.id, 1),
    ]


def test_a_chunk_is_one_event(database: Database, clock: Clock) -> None:
    merge(database, clock, [(name, "GS") for name in "ABCDE"])
    found = preview(database, clock, Action.APPROVE)
    with database.read() as session:
        offset = log.latest(session)
    apply(database, clock, found)
    undo(database, clock, found.id)
    with database.read() as session:
        told = log.read_since(session, offset)
    assert [(event.name, event.payload.get("progress")) for event in told] == [
        *(("mappings:decided", number) for number in (2, 4, 5)),
        ("plan:applied", None),
        *(("mappings:decided", number) for number in (2, 4, 5)),
        ("plan:undone", None),
    ]
    assert told[0].payload == {
        "plan_id": found.id,
        "action": "approve",
        "decided": 2,
        "displaced": 0,
        "left": 0,
        "progress": 2,
        "total": 5,
    }


def test_what_was_changed_since_the_preview_is_left_alone(database: Database, clock: Clock) -> None:
    merge(database, clock, [(name, "GS") for name in "ABCDE"])
    merge(database, clock, [("F", "GS")], trusted=True)
    merge(database, clock, [("F", "UBER")])
    found = preview(database, clock, Action.APPROVE, PENDING)
    _decide(database, clock, 2, Action.REJECT)  # decided by a person
    merge(database, clock, [("C", "UBER")])  # a submission that disagrees
    _decide(database, clock, 6, Action.CORRECT, "NFLX")  # the live one that would give way
    merge(database, clock, [("G", "GS")])  # matches, but came later
    done = apply(database, clock, found)
    assert (done.count, done.progress, done.decided, done.changed_since) == (6, 6, 3, 3)
    assert [row[1] for row in standing(database)] == [
        *("approved", "rejected", "pending", "approved", "approved"),
        *("approved", "pending", "pending"),
    ]
    with database.read() as session:
        left = plans.leftovers(session, found.id, undoing=False, after=0, limit=10)
    assert [(one.mapping_id, one.text, one.status) for one in left] == [
        (2, "B", "rejected"),
        (3, "C", "pending"),
        (7, "F", "pending"),
    ]
    assert "changed since the preview" in left[0].reason
    assert "became live" in left[2].reason


@pytest.mark.parametrize(("target", "approved"), [(None, ["GS"]), ("NFLX", ["NFLX", "NFLX"])])
def test_a_model_that_looks_again_changes_nothing_unless_it_would_become_something_else(
    database: Database, clock: Clock, target: str | None, approved: list[str]
) -> None:
    merge(database, clock, [("A", None), ("B", None)])
    _suggest(database, {1: "GS", 2: "GS"}, "1")
    found = preview(database, clock, Action.APPROVE, PENDING, target)
    _suggest(database, {1: "GS", 2: "UBER"}, "2")
    done = apply(database, clock, found)
    assert (done.decided, done.changed_since) == (len(approved), 2 - len(approved))
    assert [row[2] for row in standing(database) if row[1] == "approved"] == approved


def _suggest(database: Database, answers: dict[int, str], model_version: str) -> None:
    with database.begin() as session:
        for mapping, target in answers.items():
            sure = Candidate(target, 0.9, "model")
            answer = Recognition("", State.MATCHED, target, 0.9, (sure,))
            suggestions.save(session, [(mapping, answer)], model_version)


def test_a_target_retired_since_the_preview_is_given_to_nobody(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [("A", "GS"), ("B", "UBER")])
    found = preview(database, clock, Action.APPROVE)
    with database.begin() as session:
        catalogue.retire(session, ["GS"], clock(), log.next_offset(session))
    done = apply(database, clock, found)
    assert (done.decided, done.changed_since) == (1, 1)


def test_a_mapping_is_not_reopened_beside_one_that_waits(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")], trusted=True)
    found = preview(database, clock, Action.REOPEN)
    merge(database, clock, [("A", "UBER")])
    done = apply(database, clock, found)
    assert (done.decided, done.changed_since) == (1, 1)
    assert [row[1] for row in standing(database)] == ["approved", "pending", "pending"]


def test_an_undo_leaves_alone_what_came_after(database: Database, clock: Clock) -> None:
    merge(database, clock, [(name, "GS") for name in "ABCDEF"])
    found = apply(database, clock, preview(database, clock, Action.APPROVE))
    _decide(database, clock, 1, Action.UNDO)
    _decide(database, clock, 2, Action.CORRECT, "UBER")
    merge(database, clock, [("C", "NFLX")], trusted=True)  # a newer label of its text
    merge(database, clock, [("D", "NFLX")])  # another of its text waits
    _decide(database, clock, 5, Action.REJECT)
    _decide(database, clock, 5, Action.UNDO)  # as the plan made it again
    done = undo(database, clock, found.id)
    assert (done.progress, done.undone, done.kept) == (6, 2, 4)
    with database.read() as session:
        left = plans.leftovers(session, found.id, undoing=True, after=0, limit=10)
        assert plans.leftovers(session, found.id, undoing=True, after=4, limit=10) == []
    assert {one.mapping_id: one.reason for one in left} == {
        1: "its decision was undone already",
        2: "somebody decided about it since",
        3: "a newer label of its text is live",
        4: "another mapping of its text waits",
    }


def test_an_undone_rejection_does_not_displace_a_newer_label(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")], trusted=True)
    found = apply(database, clock, preview(database, clock, Action.REJECT))
    merge(database, clock, [("A", "NFLX")], trusted=True)
    assert undo(database, clock, found.id).kept == 1
    assert [row[1:3] for row in standing(database)] == [
        ("rejected", None),
        ("approved", "GS"),
        ("approved", "NFLX"),
    ]


def test_a_later_plan_is_undone_first(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")])
    first = apply(database, clock, preview(database, clock, Action.APPROVE))
    second = apply(database, clock, preview(database, clock, Action.CORRECT, (1,), "UBER"))
    assert undo(database, clock, second.id).undone == 1
    assert undo(database, clock, first.id).undone == 2
    assert [row[1] for row in standing(database)] == ["pending", "pending"]


def test_another_hash_is_refused(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS")])
    found = preview(database, clock, Action.APPROVE)
    with database.begin() as session, pytest.raises(Conflict, match="another hash than 'abc'"):
        apply_plan.begin_apply(session, found.id, "abc", "ann", clock())
    with database.begin() as session, pytest.raises(NotFound, match="no plan 77"):
        apply_plan.begin_apply(session, 77, "abc", "ann", clock())


def test_a_plan_goes_its_way_only_once(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS")])
    found = preview(database, clock, Action.APPROVE)

    def refused(status: str) -> None:
        with database.begin() as session:
            if status != "previewed":
                with pytest.raises(Conflict, match=f"is {status} and cannot be applied"):
                    apply_plan.begin_apply(session, found.id, found.digest, "ann", clock())
            if status != "applied":
                with pytest.raises(Conflict, match=f"is {status}: there is nothing to undo"):
                    apply_plan.begin_undo(session, found.id, "ann", clock())
            with pytest.raises(Conflict, match="only one being applied can stop"):
                apply_plan.cancel(session, found.id, "ann", clock())

    refused("previewed")
    apply(database, clock, found)
    refused("applied")
    undo(database, clock, found.id)
    refused("undone")


def test_a_cancelled_plan_keeps_what_was_done_and_can_be_undone(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [(name, "GS") for name in "ABCDE"])
    found = preview(database, clock, Action.APPROVE)
    with database.begin() as session:
        apply_plan.begin_apply(session, found.id, found.digest, "bob", clock())
    looks = iter([False, True])
    apply_plan.run(database, found.id, clock, lambda: next(looks), pause=0)
    with database.begin() as session:
        stopped = apply_plan.cancel(session, found.id, "ann", clock())
    apply_plan.run(database, found.id, clock, pause=0)
    assert (stopped.status, get(database, found.id).decided) == (PlanStatus.CANCELLED, 2)
    assert undo(database, clock, found.id).undone == 2
    assert {row[1] for row in standing(database)} == {"pending"}


@pytest.mark.parametrize("undoing", [False, True])
def test_a_failed_plan_goes_on_where_it_stopped(
    database: Database, clock: Clock, undoing: bool
) -> None:
    merge(database, clock, [(name, "GS") for name in "ABCDE"])
    found = preview(database, clock, Action.APPROVE)
    if undoing:
        apply(database, clock, found)

    def begin() -> None:
        with database.begin() as session:
            if undoing:
                apply_plan.begin_undo(session, found.id, "bob", clock())
            else:
                apply_plan.begin_apply(session, found.id, found.digest, "bob", clock())

    begin()
    looks = iter([False, True])
    apply_plan.run(database, found.id, clock, lambda: next(looks), pause=0)
    with database.begin() as session:
        apply_plan.fail(session, found.id, "the disk is full", clock())
    failed = get(database, found.id)
    assert (failed.status, failed.progress, failed.error) == ("failed", 2, "the disk is full")
    begin()
    apply_plan.run(database, found.id, clock, pause=0)
    done = get(database, found.id)
    assert (done.progress, done.undone if undoing else done.decided, done.kept) == (5, 5, 0)


def test_exactly_the_frozen_set_is_decided_while_others_decide(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [(f"shop {number}", "GS") for number in range(120)])
    found = preview(database, clock, Action.APPROVE)
    merge(database, clock, [("later", "GS")])
    over, refused = Event(), []

    def person(first: int) -> None:
        for mapping in range(first, 121, 4):
            try:
                _decide(database, clock, mapping, Action.CORRECT, "UBER")
            except Conflict:
                refused.append(mapping)
            if over.wait(0.001):
                return

    people = [Thread(target=person, args=(first,)) for first in (1, 2)]
    for one in people:
        one.start()
    done = apply(database, clock, found)
    over.set()
    for one in people:
        one.join()
    with database.read() as session:
        d = decisions.c
        mine = session.scalars(select(d.mapping_id).where(d.plan_id == found.id)).all()
        left = plans.leftovers(session, found.id, undoing=False, after=0, limit=1000)
    assert len(mine) == len(set(mine)) == done.decided
    assert {*mine, *(one.mapping_id for one in left)} == set(range(1, 121))
    assert done.decided + done.changed_since == done.progress == 120
    assert standing(database)[-1][1] == "pending"


def test_recognition_learns_a_plan_and_forgets_it(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A 1", "GS")], trusted=True)
    merge(database, clock, [("A 1", "AMZN"), ("zzz yyy", "UBER")])

    def never(_version: str) -> Recognizer:
        raise AssertionError

    serving = Serving(never)

    def answers() -> list[str | None]:
        with database.read() as session:
            serving.refresh(session)
        return [answer.target for answer in serving.recognize(["A 1", "zzz yyy"])]

    assert answers() == ["GS", None]
    found = apply(database, clock, preview(database, clock, Action.APPROVE, PENDING))
    assert answers() == ["AMZN", "UBER"]
    undo(database, clock, found.id)
    assert answers() == ["GS", None]
