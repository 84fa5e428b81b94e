"""The queue in its orders, page by page; conflicts; and many who take from it at once."""

import itertools
import random
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from llm_pipeline.domain.records import Action, Candidate, Recognition, State
from llm_pipeline.domain.review import Group, Order, Proposal
from llm_pipeline.errors import Conflict
from llm_pipeline.steps.lease_groups import Leased, Wish, lease_groups
from llm_pipeline.steps.settle_group import Ruling, settle_group
from llm_pipeline.store import conflicts, queue, suggestions
from llm_pipeline.store.engine import Database
from llm_pipeline.store.queue import Wanted
from llm_pipeline.store.schema import decisions, mappings
from llm_pipeline.store.schema_derived import FIRST_SHUFFLED, review_groups
from llm_pipeline.wiring import now
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge

ROWS = [("BIG 1", "GS"), ("BIG 1", "GS"), ("BIG 2", "GS"), ("SURE", "UBER"), ("ODD", None)]


@pytest.fixture
def waiting(database: Database, clock: Clock) -> Database:
    """Three groups: big with three rows, sure of probability 0.9, odd of 0.2."""
    load_catalogue(database, clock)
    for row in ROWS:
        merge(database, clock, [row])
    chances = {"SURE": ("UBER", 0.9), "ODD": ("AMZN", 0.2)}
    with database.begin() as session:
        answers = []
        for m in suggestions.waiting(session, "1", 0, 10):
            target, chance = chances.get(m.text, ("GS", 0.5))
            best = Candidate(target, chance, "model")
            answers.append((m.id, Recognition(m.text, State.MATCHED, target, chance, (best,))))
        suggestions.save(session, answers, "1")
    return database


def all_pages(database: Database, wanted: Wanted, limit: int) -> list[str]:
    found: list[str] = []
    after = None
    while True:
        with database.read() as session:
            page = queue.page(session, wanted, after, limit)
        found += page.keys
        after = page.next_position
        if after is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.VALUE, ["big", "odd", "sure"]),
        (Order.UNCERTAIN, ["odd", "big", "sure"]),
        (Order.OLDEST, ["big", "sure", "odd"]),
    ],
)
def test_each_order_goes_through_all_groups(
    waiting: Database, order: Order, expected: list[str], limit: int
) -> None:
    assert all_pages(waiting, Wanted(order), limit) == expected


def test_a_random_order_is_the_same_each_time_and_misses_nobody(
    waiting: Database, clock: Clock
) -> None:
    merge(waiting, clock, [(f"SHOP {letter}{letter}", None) for letter in "abcdefghijklmnopq"])
    once = all_pages(waiting, Wanted(Order.RANDOM), 4)
    assert once == all_pages(waiting, Wanted(Order.RANDOM), 7)
    assert sorted(once) == sorted(all_pages(waiting, Wanted(), 50)) != once


@pytest.mark.parametrize("first", [0, 4, 5, 20])
def test_a_random_order_goes_on_where_its_index_ends(
    waiting: Database, clock: Clock, first: int
) -> None:
    letters = "abcdefghijklmnopq"
    merge(waiting, clock, [(f"SHOP {letter}{letter}", None) for letter in letters])
    beyond = int(FIRST_SHUFFLED.rpartition(" ")[2])
    with waiting.begin() as session:
        keys = session.scalars(select(review_groups.c.key).order_by(review_groups.c.key)).all()
        drawn = random.Random(first).sample(keys, len(keys))  # noqa: S311
        for place, key in enumerate(drawn):
            number = place if place < first else beyond + place
            one = update(review_groups).where(review_groups.c.key == key)
            session.execute(one.values(shuffle=number))
    assert all_pages(waiting, Wanted(Order.RANDOM), 5) == drawn
    assert all_pages(waiting, Wanted(Order.RANDOM, min_rows=1), 5) == drawn
    with waiting.read() as session:
        assert queue.next_free(session, Order.RANDOM, "ann", clock(), 7) == drawn[:7]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(target="UBER"), ["sure"]),
        (Wanted(target="AMZN"), ["odd"]),
        (Wanted(target="NOPE"), []),
        (Wanted(min_rows=2), ["big"]),
        (Wanted(Order.OLDEST, min_rows=1, target="GS"), ["big"]),
        (Wanted(conflicts=True), []),
    ],
)
@pytest.mark.parametrize("limit", [1, 5])
def test_filters_leave_what_they_say(
    waiting: Database, wanted: Wanted, expected: list[str], limit: int
) -> None:
    assert all_pages(waiting, wanted, limit) == expected
    with waiting.read() as session:
        page = queue.page(session, wanted, None, limit)
    assert (page.total, page.total_is_exact) == (len(expected), True)


def test_counting_and_looking_stop_somewhere_and_say_so(
    waiting: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST_LOOKED_AT", 1)
    with waiting.read() as session:
        page = queue.page(session, Wanted(), None, 5)
        filtered = queue.page(session, Wanted(target="UBER"), None, 5)
    assert (page.total, page.total_is_exact) == (1, False)
    assert (filtered.keys, filtered.next_position is None) == ([], False)
    assert all_pages(waiting, Wanted(target="UBER"), 5) == ["sure"]


def test_conflicts_tell_who_proposed_what_and_how_often(waiting: Database, clock: Clock) -> None:
    merge(waiting, clock, [("BIG 1", "AMZN"), ("SURE", "AMZN"), ("SURE", None)])
    with waiting.read() as session:
        found = conflicts.page(session, 0, 10)
        assert conflicts.count(session) == 2
        assert conflicts.page(session, found[-1].mapping_id, 10) == []
        assert conflicts.page(session, 0, 1) == found[:1]
    assert [(one.text, one.rows) for one in found] == [("BIG 1", 3), ("SURE", 3)]
    assert found[0].proposals == (Proposal("GS", "tests", 2), Proposal("AMZN", "tests", 1))
    assert all_pages(waiting, Wanted(conflicts=True), 1) == ["big", "sure"]
    assert all_pages(waiting, Wanted(Order.OLDEST, conflicts=True), 1) == ["big", "sure"]


def test_a_decision_settles_conflicts(waiting: Database, clock: Clock) -> None:
    merge(waiting, clock, [("SURE", "AMZN")])
    with waiting.begin() as session:
        (one,) = [
            held
            for held in lease_groups(session, Wish("ann", groups=3), clock())
            if held.group.key == "sure"
        ]
    settle_group(waiting, Ruling(Action.APPROVE, "ann", (one.group.seen,), "AMZN"), clock)
    with waiting.read() as session:
        assert conflicts.count(session) == 0
        assert conflicts.page(session, 0, 10) == []


class Hammering:
    """Reviewers, a script without leases and a stream of rows, all at the same queue."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ends = time.monotonic() + 4
        self.decided: Counter[str] = Counter()

    def review(self, who: str) -> None:
        dice = random.Random(who)  # noqa: S311
        while time.monotonic() < self.ends:
            for one in self._lease(who, 2, timedelta(minutes=1)):
                time.sleep(dice.random() / 100)
                groups = (one.group, *one.near)
                self._settle(who, groups, dice.choice([Action.APPROVE, Action.REJECT]))

    def script(self) -> None:
        dice = random.Random(1)  # noqa: S311
        while time.monotonic() < self.ends:
            for one in self._lease("peek", 1, timedelta(0)):
                time.sleep(dice.random() / 50)
                self._settle("script", (one.group,), Action.APPROVE)

    def arrive(self) -> None:
        for n in itertools.count(2):
            merge(self.database, Clock(), [(f"SHOP{g} {n}", "GS") for g in range(0, 150, 5)])
            time.sleep(0.2)
            if time.monotonic() > self.ends:
                return

    def _lease(self, who: str, groups: int, lasts: timedelta) -> list[Leased]:
        with self.database.begin() as session:
            return lease_groups(session, Wish(who, Order.RANDOM, groups, lasts), now())

    def _settle(self, who: str, groups: tuple[Group, ...], action: Action) -> None:
        ruling = Ruling(action, who, tuple(group.seen for group in groups), "GS")
        with suppress(Conflict):
            self.decided[who] += settle_group(self.database, ruling, now).mappings


def test_many_who_hammer_the_queue_decide_each_text_once(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [(f"SHOP{g} {n}", "GS") for g in range(150) for n in range(2)])
    at_work = Hammering(database)
    people = [threading.Thread(target=at_work.review, args=(who,)) for who in ("ann", "bob")]
    people += [threading.Thread(target=one) for one in (at_work.script, at_work.arrive)]
    for person in people:
        person.start()
    for person in people:
        person.join()
    with database.read() as session:
        decided = Counter(session.scalars(select(decisions.c.mapping_id)))
        standing = Counter(session.scalars(select(mappings.c.status)))
        waiting = session.scalar(select(func.coalesce(func.sum(review_groups.c.mappings), 0)))
    assert set(decided.values()) == {1}
    assert at_work.decided.total() == len(decided) == standing["approved"] + standing["rejected"]
    assert standing["pending"] == waiting
    assert set(at_work.decided) == {"ann", "bob", "script"}
