"""The search index beside the rows: true after every kind of change, and told when it is not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status, Submission
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import mappings, reindex, suggestions, words
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.store.filters import Filter
from llm_pipeline.store.vocabulary import Known
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import ingest_rows, labelled, load_catalogue, merge


def decided(database: Database, clock: Clock, mapping_id: int, action: Action, **more: str) -> None:
    with database.begin() as session:
        version = mappings.get(session, mapping_id).version
        decide(session, mapping_id, Verdict(action, version, "ann", **more), clock())


def upload(database: Database, clock: Clock, folder: Path) -> None:
    ingest_rows(database, clock, folder, labelled(2))
    ingest_rows(database, clock, folder, [(t, "") for t, _ in labelled(3)], name="again.csv")


def trusted(database: Database, clock: Clock, _folder: Path) -> None:
    merge(database, clock, [("uber trip", "UBER"), ("uber eats", None)])
    merge(database, clock, [("uber trip", "AMZN"), ("uber trip", "UBER")], trusted=True)
    merge(database, clock, [("uber trip", "GS")], trusted=True)


def single(database: Database, clock: Clock, _folder: Path) -> None:
    for proposed in (None, "SBUX", "AMZN"):
        with database.begin() as session:
            submit(session, Submission("blue 🍕 blue", proposed), 'bob\'s "team" é', clock())


def decisions(database: Database, clock: Clock, _folder: Path) -> None:
    merge(database, clock, [("a 1", "GS"), ("b 2", None), ("c 3", "SBUX")])
    decided(database, clock, 1, Action.APPROVE)
    decided(database, clock, 1, Action.CORRECT, target="UBER")
    decided(database, clock, 1, Action.UNDO)
    decided(database, clock, 2, Action.REJECT)
    decided(database, clock, 3, Action.SKIP)


def recognised(database: Database, clock: Clock, _folder: Path) -> None:
    merge(database, clock, [("a 1", None), ("b 2", None)])
    found = (Candidate("GS", 0.9, "model"),)
    answer = Recognition("a 1", State.MATCHED, "GS", 0.9, found, "7")
    with database.begin() as session:
        suggestions.save(session, [(1, answer)], "7")


@pytest.mark.parametrize("change", [upload, trusted, single, decisions, recognised])
def test_the_index_is_true_after_every_kind_of_change(
    database: Database,
    clock: Clock,
    tmp_path: Path,
    change: Callable[[Database, Clock, Path], None],
) -> None:
    load_catalogue(database, clock)
    change(database, clock, tmp_path)
    with database.read() as session:
        checked = reindex.check(session)
        for status in Status:
            found = mappings.page(session, Filter(status=status, q=""), None, 100).items
            assert all(one.status is status for one in found)
    assert checked.is_true, checked
    assert checked.mappings > 0


def test_what_others_wrote_is_told_and_made_good(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(database, clock, [("green tea", None)])
    for statement in (
        "UPDATE mappings SET normalized = 'red tea'",
        "UPDATE search_words SET words = 'tea'",
    ):
        with database.begin() as session:
            session.execute(text(statement))
    other = Database(database.engine.execution_options())
    monkeypatch.setattr(words, "_known", words._Held(Known()))
    with other.read() as session:
        found = reindex.check(session)
    assert found.lost_words == ["red"]
    assert database.engine.dialect.name == "postgresql" or found.differing == ["green", "red"]
    done: list[int] = []
    reindex.rebuild(database, done.append)
    with database.read() as session:
        assert reindex.check(session).is_true
        assert mappings.page(session, Filter(q="re te"), None, 5).total == 1
    assert done == [1]


def test_an_empty_store_is_true_and_can_be_made_anew(database: Database) -> None:
    reindex.rebuild(database)
    with database.read() as session:
        assert reindex.check(session) == reindex.Checked(0, [], [])


def test_postgresql_keeps_no_list_of_what_its_index_lacks(postgresql_server: str) -> None:
    engine = open_engine(postgresql_server)
    database = Database(engine)
    for made in ("by the migrations", "anew"):
        with database.read() as session:
            options = text("SELECT reloptions FROM pg_class WHERE relname = 'ix_mappings_search'")
            assert session.scalar(options) == ["fastupdate=off"], made
        reindex.rebuild(database)
    engine.dispose()


def test_words_of_a_change_that_was_rolled_back_are_forgotten(
    database: Database, clock: Clock
) -> None:
    def fail() -> None:
        with database.begin() as session:
            submit(session, Submission("lost words"), "bob", clock())
            assert mappings.page(session, Filter(q="ost"), None, 5).total == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    merge(database, clock, [("other words", None)])
    with database.read() as session:
        assert list(words.vocabulary(session).containing("lost")) == []
        assert mappings.page(session, Filter(q="ther"), None, 5).total == 1
        assert reindex.check(session).is_true


def test_words_come_into_memory_in_parts(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_AT_ONCE", 2)
    for n in range(5):
        merge(database, clock, [(f"word{n} more{n}", None)])
    with database.read() as session:
        found = words.vocabulary(session)
        assert words.vocabulary(session) is found
    assert (len(found), found.last_id) == (10, 5)
