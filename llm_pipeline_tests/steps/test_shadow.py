"""A better challenger answers beside the champion before it takes over."""

from datetime import datetime

import pytest

from llm_pipeline.domain.center_events import TargetRetired
from llm_pipeline.domain.policy import Verdict
from llm_pipeline.domain.records import Action
from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.registry import Registry
from llm_pipeline.steps.promote import Comparison, judged, settle
from llm_pipeline.steps.review import Verdict as Said
from llm_pipeline.steps.review import decide
from llm_pipeline.steps.shadow import Shadowed, shadow
from llm_pipeline.store import catalogue, log, mappings, models
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.automation_factories import arrive, suggest, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue

TEXTS = [f"CAFE {word(n)}" for n in range(12)]


def _load(version: str) -> Recognizer:
    """A challenger that knows what all the texts mean."""
    if version == "gone":
        raise ModelUnavailable(version)
    return Recognizer().fit(TEXTS, ["GS"] * len(TEXTS))


@pytest.fixture
def store(database: Database, clock: Clock) -> Database:
    """A champion 1 that suggested SBUX for all that waits, and a challenger 2."""
    load_catalogue(database, clock)
    suggest(database, arrive(database, clock, TEXTS), "SBUX")
    _add(database, "1", clock())
    with database.begin() as session:
        models.promote(session, "1", "", clock())
    _add(database, "2", clock())
    return database


def _add(database: Database, version: str, at: datetime) -> None:
    with database.begin() as session:
        new = models.StoredModel(version, "run", 0, "challenger", {}, "", at, None)
        models.add_challenger(session, new)


def _decide(store: Database, clock: Clock, count: int, target: str) -> None:
    with store.begin() as session:
        waiting = mappings.page(session, mappings.Filter(status=None), None, 100).items
        for one in [m for m in waiting if m.status.value == "pending"][:count]:
            decide(session, one.id, Said(Action.CORRECT, one.version, "ann", target), clock())


def _shadow(store: Database, clock: Clock, needed: int = 8) -> Shadowed:
    return shadow(store, _load, needed, clock)


@pytest.mark.parametrize(
    ("truth", "promote", "because"),
    [("GS", True, "8 only the challenger had right"), ("SBUX", False, "worse on live traffic")],
)
def test_a_challenger_is_judged_by_what_people_decided(
    store: Database, clock: Clock, truth: str, promote: bool, because: str
) -> None:
    first = _shadow(store, clock)
    _decide(store, clock, 7, truth)
    early = _shadow(store, clock)
    _decide(store, clock, 1, truth)
    last = _shadow(store, clock)
    assert (first.answered, first.decided, first.verdict) == (12, 0, None)
    assert (early.answered, early.decided, early.verdict) == (0, 7, None)
    assert last.verdict is not None
    assert (last.decided, last.verdict.promote) == (8, promote)
    assert because in last.verdict.reason


def test_what_was_decided_before_it_answered_tells_nothing(store: Database, clock: Clock) -> None:
    _decide(store, clock, 10, "SBUX")
    assert _shadow(store, clock).answered == 2
    assert _shadow(store, clock).decided == 0


def test_it_answers_no_target_that_was_retired_since(store: Database, clock: Clock) -> None:
    with store.begin() as session:
        into = catalogue.get(session, "SBUX").id
        catalogue.retire(session, ["GS"], clock(), log.next_offset(session), into)
        log.append(session, clock(), TargetRetired("ann", "GS", "SBUX", ""))
    _shadow(store, clock)
    _decide(store, clock, 8, "SBUX")
    verdict = _shadow(store, clock).verdict
    assert verdict is not None
    assert "0 only the challenger had right, 0 only the champion" in verdict.reason


def test_nothing_is_shadowed_unless_it_is_asked_for(store: Database, clock: Clock) -> None:
    assert _shadow(store, clock, 0) == Shadowed(None, 0, 0, None)
    _add(store, "gone", clock())
    assert _shadow(store, clock) == Shadowed("gone", 0, 0, None)


def test_a_better_challenger_waits_where_shadow_answers_are_asked_for(
    store: Database, clock: Clock, registry: Registry
) -> None:
    with store.begin() as session:
        champion, challenger = models.champion(session), models.challenger(session)
        assert challenger is not None
        compared = Comparison(challenger, champion, Verdict(True, "more right answers"))
        assert not settle(session, registry, compared, "ann", clock(), shadow=8)
        assert models.challenger(session) == challenger
        (told,) = log.read_since(session, 0, names=["model:shadowing"])
        assert not judged(session, registry, "1", compared.verdict, "ann", clock())
    assert (told.payload["version"], told.payload["needed"]) == ("2", 8)
