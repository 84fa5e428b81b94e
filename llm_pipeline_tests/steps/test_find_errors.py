"""Label errors from the training set to the list, and away from it."""

import pytest

from llm_pipeline.domain.records import Action
from llm_pipeline.errors import Conflict, GateFailed, NotFound, NothingToLearn
from llm_pipeline.steps.check import check
from llm_pipeline.steps.find_errors import Found, find_errors
from llm_pipeline.steps.prepare import prepare
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.uphold import uphold
from llm_pipeline.store import label_errors, log, mappings
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import labelled, load_catalogue, merge

WRONG = ("UBER TRIP 77 CA", "NFLX")
ALSO_WRONG = ("AMZN MKTP US 77", "GS")


def _find(database: Database, clock: Clock) -> Found:
    with database.begin() as session:
        prepare(session, "ann", clock())
    assert check(database, "training_set", "ann", clock).success
    return find_errors(database, "ann", clock)


def _listed(database: Database) -> list[label_errors.LabelError]:
    with database.read() as session:
        found = label_errors.page(session, None, 100)
        assert label_errors.count(session) == len(found)
    return found


@pytest.fixture
def first(database: Database, clock: Clock) -> label_errors.LabelError:
    """The surest doubt of an installation with a wrong label among 150 right ones."""
    load_catalogue(database, clock)
    rows = [(f"{text} {number}", target) for number in range(3) for text, target in labelled(10)]
    merge(database, clock, [*rows, WRONG], trusted=True)
    _find(database, clock)
    return _listed(database)[0]


def _decide(
    database: Database, clock: Clock, action: Action, found: int, target: str | None = None
) -> None:
    with database.begin() as session:
        version = mappings.get(session, found).version
        decide(session, found, Verdict(action, version, "ann", target), clock())


def test_an_injected_wrong_label_is_found_first(
    database: Database, first: label_errors.LabelError
) -> None:
    assert (first.text, first.target, first.suggested_target) == (*WRONG, "UBER")
    assert "are UBER" in first.reason
    assert first.examples[0]["target"] == "UBER"
    with database.read() as session:
        (event,) = log.read_since(session, 0, names=["labels:doubted"])
    assert event.payload == {
        "as_of": first.found_offset,
        "texts": 451,
        "doubted": len(_listed(database)),
    }


def test_a_dismissed_doubt_stays_away_until_the_label_changes(
    database: Database, clock: Clock, first: label_errors.LabelError
) -> None:
    with database.begin() as session:
        uphold(session, first.mapping_id, "ann", clock())
    assert first.text not in [one.text for one in _listed(database)]
    found = _find(database, clock)
    assert first.text not in [one.text for one in _listed(database)]
    assert found.doubted == len(_listed(database))
    _decide(database, clock, Action.CORRECT, first.mapping_id, "SBUX")
    _find(database, clock)
    again = _listed(database)[0]
    assert (again.mapping_id, again.target) == (first.mapping_id, "SBUX")


@pytest.mark.parametrize("action", [Action.CORRECT, Action.REJECT])
def test_a_decided_mapping_is_listed_no_longer(
    database: Database, clock: Clock, first: label_errors.LabelError, action: Action
) -> None:
    target = first.suggested_target if action is Action.CORRECT else None
    _decide(database, clock, action, first.mapping_id, target)
    assert first.text not in [one.text for one in _listed(database)]
    with (
        pytest.raises(Conflict, match="its mapping was decided since"),
        database.begin() as session,
    ):
        uphold(session, first.mapping_id, "bob", clock())
    _find(database, clock)
    assert first.text not in [one.text for one in _listed(database)]


def test_a_newer_label_of_a_trusted_file_ends_the_doubt_too(
    database: Database, clock: Clock, first: label_errors.LabelError
) -> None:
    merge(database, clock, [(WRONG[0], "UBER")], trusted=True)
    assert first.text not in [one.text for one in _listed(database)]


def test_a_doubt_is_dismissed_once_and_told(
    database: Database, clock: Clock, first: label_errors.LabelError
) -> None:
    with database.begin() as session:
        uphold(session, first.mapping_id, "ann", clock())
        (event,) = log.read_since(session, 0, names=["label:upheld"])
    assert (event.actor, event.payload) == (
        "ann",
        {"mapping_id": first.mapping_id, "target": WRONG[1]},
    )
    with pytest.raises(Conflict, match="ann dismissed it"), database.begin() as session:
        uphold(session, first.mapping_id, "bob", clock())
    with pytest.raises(NotFound, match="mapping 9999 is not in doubt"), database.begin() as session:
        uphold(session, 9999, "bob", clock())


def test_looking_again_replaces_the_list(
    database: Database, clock: Clock, first: label_errors.LabelError
) -> None:
    merge(database, clock, [(WRONG[0], "UBER"), ALSO_WRONG], trusted=True)
    _find(database, clock)
    texts = [one.text for one in _listed(database)]
    assert ALSO_WRONG[0] in texts
    assert WRONG[0] not in texts
    assert len(texts) == len(set(texts))
    with database.read() as session:
        second = label_errors.page(session, _listed(database)[0].id, 1)
    assert second == _listed(database)[1:2]
    assert {one.found_offset for one in _listed(database)} != {first.found_offset}


def test_a_label_decided_while_it_was_looked_at_is_not_listed(
    database: Database, clock: Clock, first: label_errors.LabelError
) -> None:
    _decide(database, clock, Action.CORRECT, first.mapping_id, "SBUX")
    again = find_errors(database, "ann", clock)
    assert again.doubted == len(_listed(database))
    assert first.text not in [one.text for one in _listed(database)]


def test_nothing_is_looked_at_before_a_gated_training_set(database: Database, clock: Clock) -> None:
    with pytest.raises(NothingToLearn):
        find_errors(database, "ann", clock)
    load_catalogue(database, clock)
    merge(database, clock, list(labelled(2)), trusted=True)
    with database.begin() as session:
        prepare(session, "ann", clock())
    with pytest.raises(GateFailed):
        find_errors(database, "ann", clock)
