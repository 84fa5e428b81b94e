"""Groups are leased, settled at once and taken back, whatever others do meanwhile."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status
from llm_pipeline.domain.review import Group, Order
from llm_pipeline.errors import Conflict, InvalidInput, NotFound, UnknownTarget
from llm_pipeline.steps import settle_group as settling_step
from llm_pipeline.steps.lease_groups import Leased, Wish, lease_groups, with_near
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.settle_group import GroupSettled, Ruling, settle_group
from llm_pipeline.steps.undo_group import undo_group
from llm_pipeline.store import (
    catalogue,
    groups_shown,
    history,
    leases,
    log,
    mappings,
    near_groups,
    queue,
    suggestions,
)
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, standing

P, A, R = Status.PENDING, Status.APPROVED, Status.REJECTED
Settle = Callable[..., GroupSettled]


@pytest.fixture
def loaded(database: Database, clock: Clock) -> Database:
    load_catalogue(database, clock)
    return database


@pytest.fixture
def seen(loaded: Database, clock: Clock) -> Callable[..., Group]:
    """A group as it stands."""

    def shown(key: str) -> Group:
        with loaded.read() as session:
            return groups_shown.shown(session, [key], clock())[0]

    return shown


@pytest.fixture
def rule(loaded: Database, clock: Clock, seen: Callable[..., Group]) -> Settle:
    """Decide about groups as they stand, unless they are given as they were seen."""

    def ruled(
        groups: str | list[Group], action: Action = Action.APPROVE, who: str = "ann", **more: object
    ) -> GroupSettled:
        shown = [seen(key) for key in groups.split(",")] if isinstance(groups, str) else groups
        ruling = Ruling(action, who, tuple(one.seen for one in shown), **more)  # type: ignore[arg-type]
        return settle_group(loaded, ruling, clock)

    return ruled


def statuses(database: Database) -> dict[str, tuple[str, str | None]]:
    return {text: (status, target) for text, status, target, _, _ in standing(database)}


def suggest(database: Database, clock: Clock, target: str, probability: float) -> None:
    """Suggest one target for everything that waits, as a new model does."""
    with database.begin() as session:
        version = str(clock())
        waiting = suggestions.waiting(session, version, 0, 1000)
        sure = (Candidate(target, probability, "model"),)
        answers = [
            (m.id, Recognition(m.text, State.MATCHED, target, probability, sure)) for m in waiting
        ]
        suggestions.save(session, answers, version)


def lease(
    database: Database, at: Clock, who: str = "ann", groups: int = 1, order: Order = Order.VALUE
) -> list[Leased]:
    with database.begin() as session:
        return lease_groups(session, Wish(who, order, groups), at())


def keys(held: list[Leased]) -> list[str]:
    return [one.group.key for one in held]


def test_one_decision_settles_all_texts_of_a_group(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("UBER TRIP 1", "UBER"), ("UBER TRIP 2", "UBER"), ("UBER EATS", "UBER")])
    done = rule("uber trip", reason="clear")
    assert (done.mappings, done.rows, done.arrived) == (2, 2, 0)
    assert statuses(loaded) == {
        "UBER TRIP 1": (A, "UBER"),
        "UBER TRIP 2": (A, "UBER"),
        "UBER EATS": (P, None),
    }
    with loaded.read() as session:
        told = log.read_since(session, 0)[-1]
        offsets = [history.decided(session, mapping)[0]["offset"] for mapping in (2, 3)]
    assert (told.name, told.actor) == ("review:group_decided", "ann")
    assert told.payload == {
        "group_id": done.id,
        "action": "approve",
        "target": "UBER",
        "mappings": 2,
        "rows": 2,
        "displaced": 0,
        "reason": "clear",
    }
    assert offsets == [told.offset] * 2


@pytest.mark.parametrize(
    ("action", "target", "became"),
    [
        (Action.APPROVE, None, (A, "GS")),
        (Action.APPROVE, "UBER", (A, "UBER")),
        (Action.CORRECT, "UBER", (A, "UBER")),
        (Action.REJECT, None, (R, None)),
        (Action.SKIP, None, (P, None)),
    ],
)
def test_every_action_has_its_effect_and_is_undone(
    loaded: Database,
    clock: Clock,
    rule: Settle,
    action: Action,
    target: str | None,
    became: tuple[str, str | None],
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS"), ("SHOP 2", "GS")])
    done = rule("shop", action, target=target)
    assert statuses(loaded) == {"SHOP 1": became, "SHOP 2": became}
    undone = undo_group(loaded, done.id, "bob", "oops", clock)
    assert (undone.mappings, undone.rows, undone.left) == (2, 2, 0)
    assert statuses(loaded) == {"SHOP 1": (P, None), "SHOP 2": (P, None)}
    assert keys(lease(loaded, clock, "bob")) == ["shop"]
    assert rule("shop", who="bob").mappings == 2


@pytest.mark.parametrize(
    ("action", "target", "error", "told"),
    [
        (Action.CORRECT, None, InvalidInput, "needs a target"),
        (Action.APPROVE, None, InvalidInput, "needs a target"),
        (Action.APPROVE, "NOPE", UnknownTarget, "NOPE"),
        (Action.UNDO, None, InvalidInput, "cannot be decided with 'undo'"),
    ],
)
def test_a_ruling_that_cannot_be_changes_nothing(
    loaded: Database,
    clock: Clock,
    rule: Settle,
    action: Action,
    target: str | None,
    error: type[Exception],
    told: str,
) -> None:
    merge(loaded, clock, [("SHOP 1", None)])
    with pytest.raises(error, match=told):
        rule("shop", action, target=target)
    assert statuses(loaded) == {"SHOP 1": (P, None)}


def test_a_ruling_names_each_group_once(loaded: Database, clock: Clock, rule: Settle) -> None:
    merge(loaded, clock, [("SHOP 1", "GS")])
    with pytest.raises(InvalidInput, match="once"):
        rule("shop,shop")
    with pytest.raises(InvalidInput, match="at least one"):
        rule([])


def test_what_was_offered_may_be_retired_meanwhile(
    loaded: Database, clock: Clock, rule: Settle, seen: Callable[..., Group]
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS")])
    before = seen("shop")
    with loaded.begin() as session:
        catalogue.retire(session, ["GS"], clock(), 9)
    with pytest.raises(UnknownTarget, match="GS"):
        rule([before])
    assert seen("shop").offered is None


def test_texts_that_come_during_a_review_go_on_waiting(
    loaded: Database, clock: Clock, rule: Settle, seen: Callable[..., Group]
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS")])
    before = seen("shop")
    merge(loaded, clock, [("SHOP 2", "UBER"), ("SHOP 3", "UBER")])
    done = rule([before])
    assert (done.mappings, done.arrived) == (1, 2)
    assert statuses(loaded)["SHOP 2"] == (P, None)


def test_a_decision_that_came_first_is_told_with_who_what_and_when(
    loaded: Database, clock: Clock, rule: Settle, seen: Callable[..., Group]
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS"), ("SHOP 2", "GS")])
    before = seen("shop")
    with loaded.begin() as session:
        decide(session, 2, Verdict(Action.CORRECT, 1, "bob", "UBER"), clock())
    with pytest.raises(Conflict, match=r"bob decided 'correct as UBER' at 2026-03-02 09:00:\d\d"):
        rule([before])
    assert statuses(loaded) == {"SHOP 1": (P, None), "SHOP 2": (A, "UBER")}


def test_a_text_that_left_and_one_that_came_back_are_noticed(
    loaded: Database, clock: Clock, rule: Settle, seen: Callable[..., Group]
) -> None:
    """Number and sum of versions are as they were; the decisions since are not."""
    merge(loaded, clock, [("SHOP 1", "GS"), ("SHOP 2", "GS")])
    for mapping, action, version in (
        (2, Action.SKIP, 1),
        (2, Action.SKIP, 2),
        (1, Action.APPROVE, 1),
    ):
        with loaded.begin() as session:
            decide(session, mapping, Verdict(action, version, "bob"), clock())
    before = seen("shop")
    with loaded.begin() as session:
        decide(session, 2, Verdict(Action.APPROVE, 3, "bob"), clock())
        decide(session, 1, Verdict(Action.UNDO, 2, "bob"), clock())
    after = seen("shop")
    assert (before.seen.mappings, before.seen.versions) == (1, 3)
    assert (after.seen.mappings, after.seen.versions) == (1, 3)
    with pytest.raises(Conflict, match="bob decided 'undo'"):
        rule([before])


def test_a_new_suggestion_must_be_seen(
    loaded: Database, clock: Clock, rule: Settle, seen: Callable[..., Group]
) -> None:
    merge(loaded, clock, [("SHOP 1", None)])
    suggest(loaded, clock, "GS", 0.4)
    before = seen("shop")
    suggest(loaded, clock, "UBER", 0.9)
    with pytest.raises(Conflict, match="an upload or a model changed it"):
        rule([before])


def test_groups_near_to_each_other_are_settled_and_undone_together(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("BLUE BOTTLE 1", "SBUX"), ("BLUE BOTTLES", "SBUX"), ("BLUE", "GS")])
    (one,) = lease(loaded, clock)
    held = [one.group, *one.near]
    assert [group.key for group in held] == ["blue bottles", "blue bottle"]
    done = rule(held)
    assert done.mappings == 2
    assert undo_group(loaded, done.id, "ann", "", clock).mappings == 2
    assert {status for status, _ in statuses(loaded).values()} == {P}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_large_group_is_settled_in_chunks_and_undone_whole(
    loaded: Database, clock: Clock, rule: Settle, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(settling_step, "CHUNK", size)
    merge(loaded, clock, [(f"SHOP {n}", "GS") for n in range(5)])
    done = rule("shop")
    with loaded.read() as session:
        assert leases.holders(session, ["shop"], clock()) == {}
        told = log.read_since(session, 0, names=["review:group_decided"])
    assert (done.mappings, len(told)) == (5, -(-5 // size))
    with loaded.begin() as session:
        decide(session, 1, Verdict(Action.REJECT, 2, "bob"), clock())
    undone = undo_group(loaded, done.id, "ann", "", clock)
    assert (undone.mappings, undone.left) == (4, 1)


def test_texts_that_change_while_a_large_group_is_settled_are_left_and_told(
    loaded: Database, clock: Clock, rule: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling_step, "CHUNK", 1)
    merge(loaded, clock, [("SHOP 1", "GS"), ("SHOP 2", None), ("SHOP 3", "GS")])

    def meanwhile(_seconds: float) -> None:
        with loaded.begin() as session:
            if mappings.get(session, 2).status is P and mappings.get(session, 2).version == 1:
                decide(session, 2, Verdict(Action.REJECT, 1, "bob"), clock())

    monkeypatch.setattr("llm_pipeline.steps.settle_group.time.sleep", meanwhile)
    done = rule("shop")
    assert (done.mappings, done.changed) == (2, 1)
    assert statuses(loaded)["SHOP 2"] == (R, None)


def test_an_undo_leaves_what_was_decided_again_and_says_so(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS"), ("SHOP 2", "GS"), ("SHOP 3", "GS")])
    done = rule("shop")
    with loaded.begin() as session:
        decide(session, 1, Verdict(Action.CORRECT, 2, "bob", "UBER"), clock())
    merge(loaded, clock, [("SHOP 2", "AMZN")])  # waits beside the live one
    undone = undo_group(loaded, done.id, "ann", "", clock)
    assert (undone.mappings, undone.left) == (1, 2)
    with pytest.raises(Conflict, match="ann took it back"):
        undo_group(loaded, done.id, "ann", "", clock)
    with pytest.raises(InvalidInput, match="is an undo"):
        undo_group(loaded, undone.id, "ann", "", clock)
    with pytest.raises(NotFound):
        undo_group(loaded, 99, "ann", "", clock)


def test_an_undo_with_nothing_left_to_take_back_is_a_conflict(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS")])
    done = rule("shop")
    with loaded.begin() as session:
        decide(session, 1, Verdict(Action.REJECT, 2, "bob"), clock())
    with pytest.raises(Conflict, match="decided again"):
        undo_group(loaded, done.id, "ann", "", clock)


def test_an_approval_of_a_group_displaces_live_texts_and_its_undo_revives_them(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS")], trusted=True)
    merge(loaded, clock, [("SHOP 1", "UBER"), ("SHOP 2", "UBER")])
    done = rule("shop")
    assert (done.mappings, done.displaced) == (2, 1)
    undo_group(loaded, done.id, "ann", "", clock)
    with loaded.read() as session:
        assert mappings.get(session, 1).status is A
        assert [mappings.get(session, n).status for n in (2, 3)] == [P, P]


def test_two_reviewers_never_hold_the_same_group(loaded: Database, clock: Clock) -> None:
    merge(loaded, clock, [(f"{word} {n}", "GS") for n in (1, 2) for word in ("ONE", "TWO", "SIX")])
    held = [keys(lease(loaded, clock, who)) for who in ("ann", "bob", "eve", "joe")]
    assert sorted(held) == [[], ["one"], ["six"], ["two"]]
    assert held[3] == []
    assert keys(lease(loaded, clock, "ann")) == held[0]
    assert len(keys(lease(loaded, clock, "ann", groups=5))) == 1


def test_a_lease_ends_by_itself_and_harms_nobody_who_decides_late(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("ONE 1", "GS"), ("TWO 1", "GS")])
    (held,) = lease(loaded, clock, "ann")
    with pytest.raises(Conflict, match="ann holds the group"):
        rule([held.group], who="bob")
    clock.time += timedelta(minutes=11)
    assert rule([held.group]).mappings == 1
    (held,) = lease(loaded, clock, "ann")
    clock.time += timedelta(minutes=11)
    assert keys(lease(loaded, clock, "bob")) == [held.group.key]
    with pytest.raises(Conflict, match="bob holds the group"):
        rule([held.group])


def test_a_lease_is_renewed_and_given_back(loaded: Database, clock: Clock) -> None:
    merge(loaded, clock, [("SHOP ONE 1", "GS"), ("SHOP ONES", "GS")])
    (held,) = lease(loaded, clock)
    assert [near.key for near in held.near] == ["shop one"]
    clock.time += timedelta(minutes=9)
    assert keys(lease(loaded, clock, groups=0)) == ["shop ones"]
    clock.time += timedelta(minutes=9)
    assert lease(loaded, clock, "bob", groups=2) == []
    with loaded.begin() as session:
        assert leases.release(session, "ann", [held.group.key]) == 2
    assert keys(lease(loaded, clock, "bob")) == ["shop ones"]


def test_what_came_along_with_a_settled_group_is_held_by_itself(
    loaded: Database, clock: Clock
) -> None:
    merge(loaded, clock, [("BLUE BOTTLE 1", "SBUX"), ("BLUE BOTTLES", "SBUX")])
    (held,) = lease(loaded, clock)
    with loaded.begin() as session:
        decide(session, held.group.texts[0].mapping_id, Verdict(Action.REJECT, 1, "bob"), clock())
    assert keys(lease(loaded, clock)) == [held.near[0].key] == ["blue bottle"]


def test_a_skipped_group_comes_last_for_who_skipped_it_only(
    loaded: Database, clock: Clock, rule: Settle
) -> None:
    merge(loaded, clock, [("ONE 1", "GS"), ("ONE 2", "GS"), ("TWO 1", "GS")])
    assert keys(lease(loaded, clock)) == ["one"]
    rule("one", Action.SKIP)
    assert keys(lease(loaded, clock)) == ["two"]
    assert keys(lease(loaded, clock, "bob")) == ["one"]
    with loaded.begin() as session:
        leases.release(session, "bob")
    assert sorted(keys(lease(loaded, clock, groups=2))) == ["one", "two"]
    with loaded.begin() as session:
        leases.release(session, "ann")
    clock.time += timedelta(hours=2)
    assert keys(lease(loaded, clock)) == ["one"]


def test_near_groups_offer_the_same_and_are_few(loaded: Database, clock: Clock) -> None:
    shops = [(f"CORNER SHOP {c}{c}", "GS") for c in "ABCDEFGH"]
    merge(loaded, clock, [*shops, ("CORNER SHOP ZZ", "UBER"), ("SQ CORNER SHOP AA", "GS")])
    with loaded.read() as session:
        (one,) = with_near(session, ["sq corner shop aa"], clock())
        found = near_groups.near(session, ["corner shop aa"])
    assert "corner shop aa" in [group.key for group in one.near]
    assert {group.offered for group in one.near} == {"GS"}
    assert len(found["corner shop aa"]) == near_groups.NEAR_AT_MOST


def test_a_group_tells_what_differs_and_who_proposed_what(
    loaded: Database, clock: Clock, seen: Callable[..., Group]
) -> None:
    merge(loaded, clock, [("SHOP 1", "GS"), ("SHOP 2", "UBER"), ("SHOP 2", "UBER")])
    merge(loaded, clock, [("SHOP 2", "AMZN"), ("SHOP 3", None)])
    suggest(loaded, clock, "GS", 0.75)
    group = seen("shop")
    assert (group.mappings, group.rows, group.conflicts, group.differ) == (3, 5, 1, True)
    assert group.offered == "GS"
    assert group.suggestion is not None
    assert (group.suggestion.target, group.suggestion.mappings) == ("GS", 3)
    assert group.suggestion.probability == pytest.approx(0.75)
    assert [(one.target, one.rows) for one in group.proposals] == [("UBER", 2), ("AMZN", 1)]
    assert [text.text for text in group.texts] == ["SHOP 2", "SHOP 1", "SHOP 3"]


def test_a_group_that_is_gone_is_not_shown(loaded: Database, clock: Clock) -> None:
    with loaded.read() as session:
        assert groups_shown.shown(session, ["nothing"], clock()) == []
        assert queue.page(session, queue.Wanted(), None, 5) == queue.Found([], None, 0, True)
