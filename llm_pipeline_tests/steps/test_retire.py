"""Targets leave: their mappings follow or wait again, and the recogniser with them."""

from collections.abc import Callable

import pytest

from llm_pipeline.domain.records import Action, Status
from llm_pipeline.errors import Conflict, InvalidInput, NotFound, UnknownTarget
from llm_pipeline.steps import retire as step
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.steps.retire import Order, Retired, rename, restore, retire
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import catalogue, history, log, mappings, moving
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, standing
from llm_pipeline_tests.store.test_touched import counted, recounted

Leave = Callable[..., Retired]


def seen(database: Database, key: str) -> moving.Impact:
    with database.read() as session:
        return moving.impact(session, catalogue.get(session, key).id)


@pytest.fixture
def leave(database: Database, clock: Clock) -> Leave:
    """Retire GS, which three texts mean and two propose."""
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("B", "GS"), ("C", "GS"), ("X", "UBER")], trusted=True)
    merge(database, clock, [("D", "GS"), ("E", "GS"), ("A", "UBER")])

    def done(into: str | None = None, key: str = "GS") -> Retired:
        order = Order(key, into, seen(database, key).token, "ann")
        return retire(database, order, clock)

    return done


def test_the_impact_is_told_before(leave: Leave, database: Database) -> None:
    found = seen(database, "GS")
    assert (found.mappings, found.rows) == ({"approved": 3, "pending": 2},) * 2
    assert (found.live, found.waiting, found.examples) == (3, 2, ["C", "B", "A"])
    assert seen(database, "NFLX").mappings == {}


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_mappings_follow_into_another_target(
    leave: Leave, database: Database, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(step, "CHUNK", chunk)
    assert leave("AMZN") == Retired(moved=3, reopened=0, waiting=2)
    targets = {text: (target, proposed) for text, _, target, proposed, _ in standing(database)}
    assert {text: targets[text][0] for text in "BCX"} == {"B": "AMZN", "C": "AMZN", "X": "UBER"}
    assert [targets[text] for text in "DE"] == [(None, "AMZN")] * 2
    with database.read() as session:
        gone, taken = catalogue.get(session, "GS"), catalogue.get(session, "AMZN")
        assert (gone.retired, gone.merged_into) == (True, "AMZN")
        assert taken.attributes == {"aliases": "Goldman Sachs Group"}
        assert counted(session) == recounted(session)
        (told,) = history.decided(session, 2)
        assert (told["action"], told["previous_target"], told["target"]) == (
            "correct",
            "GS",
            "AMZN",
        )
        assert told["reason"] == "merged into AMZN"
        assert [span["target"] for span in history.spans(session, 2)] == ["GS"]
        events = [event.name for event in log.read_since(session, 0)]
    assert events.count("target:retired") == 1
    assert events.count("mappings:moved") == -(-3 // chunk) + -(-2 // chunk)


def test_mappings_of_a_retired_target_wait_again(leave: Leave, database: Database) -> None:
    assert leave() == Retired(moved=0, reopened=3, waiting=2)
    found = {(text, status): proposed for text, status, _, proposed, _ in standing(database)}
    # A was proposed for another target meanwhile: it waits once, not twice.
    assert {pair for pair in found if pair[0] == "A"} == {("A", "retired"), ("A", "pending")}
    assert [status for text, status in sorted(found) if text in "BCDE"] == ["pending"] * 4
    assert {found[text, "pending"] for text in "DE"} == {None}
    with database.read() as session:
        assert counted(session) == recounted(session)


def test_the_recogniser_follows(leave: Leave, database: Database) -> None:
    serving = Serving(lambda _version: pytest.fail("there is no model"))

    def answer(text: str) -> str | None:
        with database.read() as session:
            serving.refresh(session)
        return serving.recognize([text])[0].target

    assert (answer("b"), answer("goldman sachs group")) == ("GS", "GS")
    leave("AMZN")
    assert (answer("b"), answer("goldman sachs group")) == ("AMZN", "AMZN")
    leave(key="AMZN")
    assert (answer("b"), answer("goldman sachs group")) == (None, None)


def test_a_target_gets_another_key(leave: Leave, database: Database, clock: Clock) -> None:
    order = Order("GS", "GSX", seen(database, "GS").token, "ann", "new ticker")
    assert rename(database, order, clock).moved == 3
    with database.read() as session:
        old, new = catalogue.get(session, "GS"), catalogue.get(session, "GSX")
        assert (old.merged_into, new.name) == ("GSX", "Goldman Sachs Group")
        assert mappings.get(session, 1).target == "GSX"
    again = Order("GSX", "UBER", seen(database, "GSX").token, "ann")
    with pytest.raises(Conflict, match="merge 'GSX' into it"):
        rename(database, again, clock)


def test_an_interrupted_merge_goes_on(
    leave: Leave, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(step, "CHUNK", 1)
        patch.setattr(moving, "take_along", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            leave("AMZN")
    assert leave("AMZN") == Retired(moved=3, reopened=0, waiting=0)
    assert seen(database, "GS").mappings == {}


def test_a_restored_target_can_be_chosen(leave: Leave, database: Database, clock: Clock) -> None:
    leave("AMZN")
    with database.begin() as session:
        restore(session, "GS", "ann", clock())
        decide(session, 4, Verdict(Action.CORRECT, 2, "ann", "GS"), clock())
        assert mappings.get(session, 4).status is Status.APPROVED
        with pytest.raises(InvalidInput, match="not retired"):
            restore(session, "GS", "ann", clock())


def test_what_cannot_leave_is_told(leave: Leave, database: Database, clock: Clock) -> None:
    token = seen(database, "GS").token
    for order, error, told in (
        (Order("nix", None, "", "ann"), NotFound, "nix"),
        (Order("GS", "GS", token, "ann"), InvalidInput, "into itself"),
        (Order("GS", "nix", token, "ann"), UnknownTarget, "nix"),
        (Order("GS", "AMZN", "older", "ann"), Conflict, "look again"),
    ):
        with pytest.raises(error, match=told):
            retire(database, order, clock)
    leave("AMZN")
    with pytest.raises(Conflict, match="restore it first"):
        leave("UBER")
