"""What a preview tells, and that it changes nothing."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from llm_pipeline.domain.plans import PlanStatus
from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status
from llm_pipeline.errors import InvalidInput, NotFound, UnknownTarget
from llm_pipeline.steps import plan as step
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import catalogue, log, mappings, plans, suggestions
from llm_pipeline.store.engine import Database
from llm_pipeline.store.limited import limited
from llm_pipeline.store.mappings import Filter
from llm_pipeline.store.state import DatabaseError
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge
from llm_pipeline_tests.plan_factories import get, preview, state


@pytest.fixture(autouse=True)
def _catalogue(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)


def _decide(database: Database, clock: Clock, mapping: int, action: Action) -> None:
    with database.begin() as session:
        version = mappings.get(session, mapping).version
        decide(session, mapping, Verdict(action, version, "ann", None), clock())


def _suggest(database: Database, mapping: int, target: str) -> None:
    sure = Candidate(target, 0.9, "model")
    with database.begin() as session:
        answer = Recognition("", State.MATCHED, target, 0.9, (sure,))
        suggestions.save(session, [(mapping, answer)], "1")


def _told(database: Database, clock: Clock, action: Action, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = preview(database, clock, action, **more).preview["consequences"]
    return found


def test_a_preview_changes_no_mapping(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", None)])
    with database.read() as session:
        before, offset = state(session), log.latest(session)
    found = preview(database, clock, Action.APPROVE)
    with database.read() as session:
        assert state(session) == before
        (event,) = log.read_since(session, offset)
    assert (found.status, found.count, found.progress) == (PlanStatus.PREVIEWED, 1, 0)
    assert (event.name, event.payload["plan_id"]) == ("plan:previewed", found.id)


def test_each_gets_its_proposal_else_its_suggestion(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", None), ("C", None)])
    _suggest(database, 1, "UBER")
    _suggest(database, 2, "UBER")
    found = preview(database, clock, Action.APPROVE)
    assert [(one["text"], one["new_target"]) for one in found.preview["sample"]] == [
        ("A", "GS"),
        ("B", "UBER"),
    ]
    assert found.preview["blocked"] == [
        {"reason": "it has neither a proposed nor a suggested target", "mappings": 1}
    ]
    consequences = found.preview["consequences"]
    assert consequences["overruled_suggestions"] == 1
    assert consequences["targets"] == [
        {"target": "GS", "gains": 1, "loses": 0},
        {"target": "UBER", "gains": 1, "loses": 0},
    ]


def test_one_target_for_all_overrules_proposals(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("A", "UBER"), ("B", "AMZN"), ("C", None), ("C", None)])
    told = _told(database, clock, Action.APPROVE, target="AMZN")
    assert told["statuses"] == [
        {"before": "pending", "after": "approved", "mappings": 3, "rows": 5}
    ]
    assert (told["rows"], told["conflicts"], told["overruled_proposals"]) == (5, 1, 1)


def test_live_mappings_that_give_way_are_told(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS")], trusted=True)
    merge(database, clock, [("A", "AMZN")])
    told = _told(database, clock, Action.APPROVE, wanted=Filter(status=Status.PENDING))
    assert (told["displaced"], told["displaced_with_another_target"]) == (1, 1)
    assert told["targets"] == [
        {"target": "AMZN", "gains": 1, "loses": 0},
        {"target": "GS", "gains": 0, "loses": 1},
    ]


def test_what_waits_of_the_same_text_elsewhere_is_told(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS")], trusted=True)
    merge(database, clock, [("A", "AMZN")])
    live = Filter(status=Status.APPROVED)
    assert _told(database, clock, Action.REJECT, wanted=live)["waiting_elsewhere"] == 1
    assert _told(database, clock, Action.REJECT)["waiting_elsewhere"] == 0


def test_of_a_text_that_waits_and_is_live_the_one_that_waits_counts(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [("A", "GS")], trusted=True)
    merge(database, clock, [("A", "AMZN")])
    found = preview(database, clock, Action.CORRECT, target="UBER")
    assert [one["id"] for one in found.preview["sample"]] == [2]
    assert "gives way" in found.preview["blocked"][0]["reason"]


def test_what_means_the_target_already_is_left_out(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", "UBER")], trusted=True)
    found = preview(database, clock, Action.CORRECT, target="GS")
    assert [one["text"] for one in found.preview["sample"]] == ["B"]
    assert found.preview["blocked"] == [{"reason": "it means this target already", "mappings": 1}]


def test_only_one_mapping_of_a_text_is_reopened(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")])
    for mapping in (1, 2):
        _decide(database, clock, mapping, Action.REJECT)
    merge(database, clock, [("A", "AMZN"), ("B", "AMZN")])
    _decide(database, clock, 3, Action.REJECT)
    found = preview(database, clock, Action.REOPEN)
    assert [one["id"] for one in found.preview["sample"]] == [3]
    reasons = {one["reason"]: one["mappings"] for one in found.preview["blocked"]}
    assert reasons["another mapping of its text waits"] == 2
    assert reasons["it is pending; reopen needs rejected or approved or auto_approved"] == 1


def test_what_proposes_a_retired_target_cannot_be_approved(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [("A", "GS")])
    with database.begin() as session:
        catalogue.retire(session, ["GS"], clock(), log.next_offset(session))
    found = preview(database, clock, Action.APPROVE)
    assert found.preview["blocked"] == [{"reason": "its target is retired", "mappings": 1}]
    with pytest.raises(UnknownTarget):
        preview(database, clock, Action.CORRECT, target="GS")


def test_the_sample_is_spread_evenly(database: Database, clock: Clock) -> None:
    merge(database, clock, [(f"shop {number:03}", "GS") for number in range(100)])
    found = preview(database, clock, Action.APPROVE)
    ids = [one["id"] for one in found.preview["sample"]]
    assert ids == list(range(1, 101, 5))


def test_the_hash_tells_what_would_be_done(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")])
    first = preview(database, clock, Action.APPROVE)
    assert preview(database, clock, Action.APPROVE, wanted=(2, 1)).digest == first.digest
    others = [
        preview(database, clock, Action.APPROVE, wanted=(1,)),
        preview(database, clock, Action.APPROVE, target="GS"),
        preview(database, clock, Action.CORRECT, target="GS"),
    ]
    _suggest(database, 1, "UBER")
    others.append(preview(database, clock, Action.APPROVE))
    assert len({first.digest, *(one.digest for one in others)}) == 5


@pytest.mark.parametrize(
    ("action", "wanted", "target", "error"),
    [
        (Action.CORRECT, None, None, InvalidInput),
        (Action.REJECT, None, "GS", InvalidInput),
        (Action.REOPEN, None, "GS", InvalidInput),
        (Action.SKIP, None, None, InvalidInput),
        (Action.UNDO, None, None, InvalidInput),
        (Action.APPROVE, None, "NONE", UnknownTarget),
        (Action.APPROVE, (1, 7), None, NotFound),
    ],
)
def test_what_does_not_fit_is_refused(
    database: Database,
    clock: Clock,
    action: Action,
    wanted: tuple[int, ...] | None,
    target: str | None,
    error: type[Exception],
) -> None:
    merge(database, clock, [("A", "GS")])
    with pytest.raises(error):
        preview(database, clock, action, wanted, target)
    with database.read() as session:
        assert plans.count(session) == 0


def test_too_many_at_once_are_refused(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")])
    monkeypatch.setattr(step, "MOST_MAPPINGS", 1)
    with pytest.raises(InvalidInput, match="would change 2 mappings; narrow the filter"):
        preview(database, clock, Action.APPROVE)


def test_a_preview_that_takes_too_long_says_so(database: Database, clock: Clock) -> None:
    merge(database, clock, [(f"shop {number}", "GS") for number in range(2_000)])
    request = step.Request(Action.APPROVE, "ann", Filter())
    with pytest.raises(InvalidInput, match="takes longer than"):
        step.plan(database, request, clock, seconds=0.001)
    assert preview(database, clock, Action.APPROVE).count == 2_000


def test_an_error_within_the_limit_is_told_as_it_is(database: Database) -> None:
    with pytest.raises(DatabaseError), database.read() as session, limited(session, 60, ""):
        session.execute(text("SELECT * FROM nowhere"))


def test_plans_that_nobody_applied_are_forgotten_after_a_while(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS"), ("C", "GS")])
    old = preview(database, clock, Action.APPROVE)
    clock.time += timedelta(days=1)
    new = preview(database, clock, Action.APPROVE)
    monkeypatch.setattr(step, "FREEZE_ROWS", 2)
    assert step.forget_old(database, clock() - timedelta(hours=1)) == 1
    with pytest.raises(NotFound, match=f"there is no plan {old.id}"):
        get(database, old.id)
    assert get(database, new.id).count == 3
    with database.begin() as session:
        assert plans.forget(session, old.id, 1)
        assert session.scalar(text("SELECT count(*) FROM plan_items")) == 3
