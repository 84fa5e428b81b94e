"""Groups that two people answer, neither seeing what the other said."""

from collections.abc import Callable

import pytest

from llm_pipeline.domain.records import Action
from llm_pipeline.domain.review import Group, Opinion
from llm_pipeline.errors import Conflict
from llm_pipeline.steps.lease_groups import Wish, lease_groups
from llm_pipeline.steps.settle_group import GroupSettled, Ruling, settle_group
from llm_pipeline.steps.undo_group import undo_group
from llm_pipeline.store import activity, groups_shown, log, second_reviews
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, standing

Answer = Callable[..., GroupSettled]


@pytest.fixture
def group(database: Database, clock: Clock) -> Callable[[], Group]:
    """The one group there is, which two people must answer."""
    load_catalogue(database, clock)
    merge(database, clock, [("SHOP 1", "GS"), ("SHOP 2", "GS")])

    def shown() -> Group:
        with database.read() as session:
            return groups_shown.shown(session, ["shop"], clock())[0]

    return shown


@pytest.fixture
def answer(database: Database, clock: Clock, group: Callable[[], Group]) -> Answer:
    def answered(who: str, target: str | None = "GS", **more: bool) -> GroupSettled:
        action = Action.APPROVE if target else Action.REJECT
        ruling = Ruling(action, who, (group().seen,), target, share=1.0, **more)  # type: ignore[arg-type]
        return settle_group(database, ruling, clock)

    return answered


def statuses(database: Database) -> set[tuple[str, str | None]]:
    return {(status, target) for _, status, target, _, _ in standing(database)}


def next_of(database: Database, clock: Clock, who: str) -> list[str]:
    with database.begin() as session:
        return [one.group.key for one in lease_groups(session, Wish(who), clock())]


def test_a_first_answer_changes_nothing_and_shows_nowhere(
    database: Database, clock: Clock, group: Callable[[], Group], answer: Answer
) -> None:
    before = group()
    done = answer("ann")
    assert (done.mappings, done.for_second) == (0, ("shop",))
    after = group()
    assert (after.texts, after.opinions, after.lease) == (before.texts, (), None)
    assert statuses(database) == {("pending", None)}
    with database.read() as session:
        told = log.read_since(session, 0)[-1]
        assert activity.of_person(session, "ann", clock()) == {"opinion": 1}
    assert (told.name, told.payload) == (
        "review:opinion_given",
        {"group_id": done.id, "groups": 1, "disputed": 0},
    )


def test_only_another_person_gets_the_group_and_may_answer_it(
    database: Database, clock: Clock, answer: Answer
) -> None:
    answer("ann")
    assert next_of(database, clock, "ann") == []
    with pytest.raises(Conflict, match="waits for a second reviewer"):
        answer("ann")
    assert next_of(database, clock, "bob") == ["shop"]


def test_two_equal_answers_settle_the_group(database: Database, answer: Answer) -> None:
    answer("ann")
    assert answer("bob").mappings == 2
    assert statuses(database) == {("approved", "GS")}
    with database.read() as session:
        counts = second_reviews.counts(session)
    assert counts == second_reviews.Counts({("GS", "GS"): 1}, waiting=0, disputed=0)


@pytest.mark.parametrize("second", ["UBER", None])
def test_two_different_answers_wait_for_a_third_with_both_shown(
    database: Database,
    clock: Clock,
    group: Callable[[], Group],
    answer: Answer,
    second: str | None,
) -> None:
    answer("ann")
    assert answer("bob", second).disputed == ("shop",)
    action = Action.APPROVE if second else Action.REJECT
    assert group().opinions == (
        Opinion("ann", Action.APPROVE, "GS"),
        Opinion("bob", action, second),
    )
    for who in ("ann", "bob"):
        assert next_of(database, clock, who) == []
        with pytest.raises(Conflict, match="waits for a third reviewer"):
            answer(who)
    assert next_of(database, clock, "eve") == ["shop"]
    assert answer("eve", "AMZN").mappings == 2
    with database.read() as session:
        counts = second_reviews.counts(session)
    assert counts == second_reviews.Counts({("GS", second or ""): 1}, waiting=0, disputed=0)


def test_an_admin_may_settle_a_dispute_they_are_part_of(database: Database, answer: Answer) -> None:
    answer("ann")
    answer("bob", "UBER")
    assert answer("bob", "UBER", overrule=True).mappings == 2
    assert statuses(database) == {("approved", "UBER")}


def test_an_answer_is_taken_back_until_another_one_rests_on_it(
    database: Database, clock: Clock, answer: Answer
) -> None:
    first = answer("ann")
    assert undo_group(database, first.id, "ann", "", clock).mappings == 0
    first = answer("ann")
    second = answer("bob", "UBER")
    with pytest.raises(Conflict):
        undo_group(database, first.id, "ann", "", clock)
    undo_group(database, second.id, "bob", "", clock)
    with database.begin() as session:
        assert second_reviews.counts(session) == second_reviews.Counts({}, waiting=1, disputed=0)
    assert answer("bob").mappings == 2
    assert statuses(database) == {("approved", "GS")}


def test_an_answer_about_an_earlier_group_of_that_key_does_not_count(
    database: Database, clock: Clock, answer: Answer
) -> None:
    answer("ann")
    merge(database, clock, [("SHOP 1", "GS"), ("SHOP 2", "GS")], trusted=True)
    merge(database, clock, [("SHOP 3", "GS")])
    assert next_of(database, clock, "ann") == ["shop"]
    assert answer("ann").for_second == ("shop",)
    assert answer("bob").mappings == 1


def test_a_skip_is_no_answer(
    database: Database, clock: Clock, group: Callable[[], Group], answer: Answer
) -> None:
    ruling = Ruling(Action.SKIP, "ann", (group().seen,), share=1.0)
    assert settle_group(database, ruling, clock).mappings == 2
    assert answer("ann").for_second == ("shop",)
