from collections.abc import Callable

import pytest

from llm_pipeline.domain.learning_events import ModelPromoted
from llm_pipeline.domain.records import Action, State
from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.steps import recognize
from llm_pipeline.steps.recognize import MEMORY_ONLY, Serving, recognize_one, recognize_waiting
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import log, mappings, models, training
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import labelled, load_catalogue, merge

Decide = Callable[..., None]


@pytest.fixture
def act(database: Database, clock: Clock) -> Decide:
    load_catalogue(database, clock)

    def decided(mapping: int, action: Action, target: str | None = None) -> None:
        with database.begin() as session:
            version = mappings.get(session, mapping).version
            decide(session, mapping, Verdict(action, version, "ann", target), clock())

    return decided


def _no_model(version: str) -> Recognizer:
    raise ModelUnavailable(f"version {version} is gone")


def _model(_version: str) -> Recognizer:
    rows = labelled(1)
    return Recognizer().fit([text for text, _ in rows], [key for _, key in rows])


def _refresh(database: Database, serving: Serving) -> bool:
    with database.read() as session:
        return serving.refresh(session)


def _answer(database: Database, serving: Serving, text: str) -> str | None:
    _refresh(database, serving)
    return serving.recognize([text])[0].target


def _promote(database: Database, clock: Clock, version: str) -> int:
    """Make a version the champion, trained on all there is."""
    with database.begin() as session:
        as_of = log.latest(session)
        new = models.StoredModel(version, "run", as_of, "challenger", {}, "", clock(), None)
        models.add_challenger(session, new)
        models.promote(session, version, "", clock())
        return log.append(session, clock(), ModelPromoted("tests", version, None, as_of, ""))


def test_an_approval_is_known_at_once_and_an_undo_forgets_it(
    database: Database, clock: Clock, act: Decide
) -> None:
    serving = Serving(_no_model)
    merge(database, clock, [("MOON CAFE 12", "SBUX")])
    assert _answer(database, serving, "moon cafe 12") is None
    act(1, Action.APPROVE)
    assert _answer(database, serving, "moon cafe 99") == "SBUX"
    act(1, Action.UNDO)
    assert _answer(database, serving, "moon cafe 12") is None
    act(1, Action.CORRECT, "GS")
    assert _answer(database, serving, "moon cafe 12") == "GS"
    act(1, Action.REJECT)
    assert _answer(database, serving, "moon cafe 12") is None


def test_an_undone_approval_gives_way_to_what_it_had_displaced(
    database: Database, clock: Clock, act: Decide
) -> None:
    serving = Serving(_no_model)
    merge(database, clock, [("MOON CAFE", "SBUX")], trusted=True)
    merge(database, clock, [("MOON CAFE", "GS")])
    act(2, Action.APPROVE)
    assert _answer(database, serving, "MOON CAFE") == "GS"
    act(2, Action.UNDO)
    assert _answer(database, serving, "MOON CAFE") == "SBUX"


def test_nothing_new_is_told(database: Database, clock: Clock, act: Decide) -> None:
    serving = Serving(_no_model)
    assert _refresh(database, serving)
    assert not _refresh(database, serving)
    assert (serving.version, serving.problem) == (MEMORY_ONLY, "")


def test_a_promoted_model_takes_over_with_what_was_approved_since(
    database: Database, clock: Clock, act: Decide
) -> None:
    serving = Serving(_model)
    _promote(database, clock, "7")
    merge(database, clock, [("MOON CAFE 12", "GS")], trusted=True)
    assert _answer(database, serving, "moon cafe 9") == "GS"
    assert _answer(database, serving, "UBER EATS BOSTON HELP") == "UBER"
    assert serving.recognize(["x"])[0].model_version == serving.version == "7"
    merge(database, clock, [("MOON BAR 3", "SBUX")], trusted=True)
    assert _answer(database, serving, "moon bar 9") == "SBUX"
    _promote(database, clock, "8")
    _refresh(database, serving)
    assert serving.version == "8"


def test_the_last_champion_answers_while_the_new_one_cannot_be_loaded(
    database: Database, clock: Clock, act: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"8"}
    serving = Serving(lambda v: _no_model(v) if v in broken else _model(v))
    _promote(database, clock, "7")
    _refresh(database, serving)
    _promote(database, clock, "8")
    merge(database, clock, [("MOON CAFE", "GS")], trusted=True)
    assert _answer(database, serving, "MOON CAFE") == "GS"
    assert (serving.version, serving.problem) == ("7", "version 8 is gone")
    broken.clear()
    _refresh(database, serving)
    assert serving.version == "7", "a model is not tried at every call"
    broken.add("8")
    monkeypatch.setattr(recognize, "RETRY_SECONDS", 0)
    merge(database, clock, [("MOON BAR", "GS")], trusted=True)
    _refresh(database, serving)
    broken.clear()
    assert not _refresh(database, serving)
    assert (serving.version, serving.problem) == ("8", "")


def test_without_any_loadable_model_memory_answers(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("MOON CAFE", "GS")], trusted=True)
    _promote(database, clock, "7")
    serving = Serving(_no_model)
    assert _answer(database, serving, "MOON CAFE") == "GS"
    assert serving.version == MEMORY_ONLY


def test_a_restart_answers_as_before(database: Database, clock: Clock, act: Decide) -> None:
    merge(database, clock, [("MOON CAFE 1", "GS"), ("MOON CAFE 2", "SBUX")], trusted=True)
    merge(database, clock, [("MOON CAFE 1", "GS")], trusted=True)

    def learned(_version: str) -> Recognizer:
        with database.read() as session:
            champion = models.champion(session)
            assert champion is not None
            rows = training.live_texts(session, champion.as_of)
        return Recognizer().fit(rows["text"].tolist(), rows["target"].tolist())

    running = Serving(learned)
    _refresh(database, running)
    _promote(database, clock, "7")
    merge(database, clock, [("STAR BANK 1", "AMZN")], trusted=True)
    restarted = Serving(learned)
    for text, target in [("MOON CAFE 9", "GS"), ("MOON CAFE 2", "SBUX"), ("STAR BANK 2", "AMZN")]:
        assert _answer(database, running, text) == _answer(database, restarted, text) == target


def test_one_text_gets_a_suggestion_and_a_request_for_review(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("MOON CAFE 1", "GS")], trusted=True)
    merge(database, clock, [("MOON CAFE 2", None)])
    serving = Serving(_no_model)
    _refresh(database, serving)
    with database.begin() as session:
        answer = recognize_one(session, serving, 2, "MOON CAFE 2", "tests", clock())
        stored = mappings.get(session, 2)
        names = [event.name for event in log.read_since(session, 3)]
    assert (answer.state, answer.target) == (State.MATCHED, "GS")
    assert (stored.suggested_target, stored.model_version) == ("GS", MEMORY_ONLY)
    assert stored.probability == pytest.approx(answer.probability)
    assert names == ["text:recognized", "review:requested"]


def test_all_that_waits_is_recognised_once_and_again_by_a_new_version(
    database: Database, clock: Clock, act: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognize, "CHUNK", 2)
    merge(database, clock, [("MOON CAFE 1", "GS")], trusted=True)
    merge(database, clock, [(f"MOON CAFE {n}", None) for n in (2, 3, 4)] + [("RIVER 5", None)])
    merge(database, clock, [("HILL", None)])
    serving = Serving(_model)
    _refresh(database, serving)
    found = recognize_waiting(database, serving, "tests", clock)
    assert (found.rows, found.matched, found.model_version) == (5, 3, MEMORY_ONLY)
    assert recognize_waiting(database, serving, "tests", clock).rows == 0
    _promote(database, clock, "7")
    _refresh(database, serving)
    again = recognize_waiting(database, serving, "tests", clock)
    assert (again.rows, again.model_version) == (5, "7")
    with database.read() as session:
        told = log.read_since(session, 0, names=["text:recognized"])
    assert [event.payload["rows"] for event in told] == [2, 2, 1, 2, 2, 1]
