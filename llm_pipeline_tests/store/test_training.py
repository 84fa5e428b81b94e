"""What is learned from, and that an old offset gives the same rows for ever."""

from datetime import UTC
from itertools import pairwise
from random import Random

import pandas as pd
import pytest

from llm_pipeline.domain.records import LIVE, Action
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import history, log, mappings, training
from llm_pipeline.store.engine import Database, Session
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import TARGETS, load_catalogue, merge, rows_stored

KEYS = [target.key for target in TARGETS]
TEXTS = ["BLUE CAFE", "blue cafe 9", "CITY TAXI", "TAXI", "MOON BANK", "Moon-Bank"]


def _decide(
    database: Database, clock: Clock, mapping: int, action: Action, target: str | None = None
) -> None:
    with database.begin() as session:
        version = mappings.get(session, mapping).version
        decide(session, mapping, Verdict(action, version, "ann", target), clock())


def _live(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        frame = training.live_texts(session, log.latest(session))
    return list(zip(frame["text"], frame["target"], strict=True))


def _labels(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        frame = training.labelled_rows(session, log.latest(session))
    return list(zip(frame["normalized"], frame["target"], strict=True))


def test_the_text_seen_last_comes_last(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("B", "UBER"), ("A", "GS")], trusted=True)
    assert _live(database) == [("B", "UBER"), ("A", "GS")]


def test_a_trusted_row_keeps_its_label_when_a_newer_one_superseded_it(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("A", "UBER"), ("A", "GS")], trusted=True)
    merge(database, clock, [("A", "UBER")], trusted=True)
    assert _labels(database) == [("a", "GS"), ("a", "UBER"), ("a", "GS"), ("a", "UBER")]


def test_a_labelled_row_can_come_with_its_own_text_and_time(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("Blue Cafe", "GS"), ("BLUE CAFE!", "GS")], trusted=True)
    with database.read() as session:
        plain = training.labelled_rows(session, log.latest(session))
        detailed = training.labelled_rows(session, log.latest(session), detailed=True)
    assert plain.columns.tolist() == ["normalized", "key", "target"]
    assert detailed["text"].tolist() == ["Blue Cafe", "BLUE CAFE!"]
    assert [at.tzinfo for at in detailed["at"]] == [UTC, UTC]
    pd.testing.assert_frame_equal(detailed[plain.columns], plain)


def test_a_repeat_that_nobody_checked_is_no_label(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")])
    _decide(database, clock, 1, Action.APPROVE)
    merge(database, clock, [("A", None), ("A", "GS")])
    assert _labels(database) == [("a", "GS")]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_corrected_row_has_the_corrected_label(
    database: Database, clock: Clock, trusted: bool
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")], trusted=trusted)
    _decide(database, clock, 1, Action.CORRECT, "UBER")
    assert _labels(database) == [("a", "UBER")]


def test_a_rejected_row_has_no_label_even_where_it_was_trusted(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")], trusted=True)
    _decide(database, clock, 1, Action.REJECT)
    assert _labels(database) == []


def test_a_row_superseded_and_then_rejected_has_no_label(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")], trusted=True)
    merge(database, clock, [("A", "UBER")])
    _decide(database, clock, 2, Action.APPROVE)
    _decide(database, clock, 2, Action.UNDO)
    _decide(database, clock, 1, Action.REJECT)
    assert _labels(database) == []


def test_a_revived_row_has_the_label_it_had_last(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "SBUX")], trusted=True)
    merge(database, clock, [("A", "UBER")])
    _decide(database, clock, 2, Action.APPROVE)
    _decide(database, clock, 2, Action.UNDO)
    _decide(database, clock, 1, Action.CORRECT, "AMZN")
    _decide(database, clock, 2, Action.APPROVE)
    assert sorted(_labels(database)) == [("a", "AMZN"), ("a", "UBER")]


def test_what_a_training_would_add_is_counted(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("B", "GS")], trusted=True)
    with database.read() as session:
        assert training.learned_since(session, 0) == training.Learned(2, 2)
        assert training.learned_since(session, 2) == training.Learned(0, 2)


def test_changes_are_replayed_in_their_order(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("B", "GS")], trusted=True)
    merge(database, clock, [("A", "UBER")], trusted=True)
    _decide(database, clock, 2, Action.REJECT)
    with database.read() as session:
        changes = training.live_changes(session, 0)
        newest = training.live_changes(session, 3)
    assert changes == [training.LiveChange("A", "UBER"), training.LiveChange("B", None)]
    assert newest == [training.LiveChange("B", None)]


def test_a_training_set_is_kept_once(database: Database, clock: Clock) -> None:
    built = training.TrainingSet(7, 3, 2, 2, "abc", clock())
    with database.begin() as session:
        assert training.latest_training_set(session) is None
        training.save_training_set(session, built)
        training.save_training_set(session, built)
        assert training.latest_training_set(session) == built


Frames = tuple[pd.DataFrame, pd.DataFrame]


def _frames(session: Session, as_of: int) -> Frames:
    return training.live_texts(session, as_of), training.labelled_rows(session, as_of)


def _act(database: Database, clock: Clock, random: Random) -> None:
    """One random submission, trusted file or decision; what does not fit is refused."""
    if random.random() < 0.4:
        trusted = random.random() < 0.4
        rows = [
            (random.choice(TEXTS), random.choice(KEYS if trusted else [None, *KEYS]))
            for _ in range(random.randint(1, 4))
        ]
        merge(database, clock, rows, trusted=trusted)
        return
    with database.read() as session:
        found = mappings.page(session, mappings.Filter(), None, 1_000).items
    if found:
        mapping, target = random.choice(found), random.choice([None, *KEYS])
        action = random.choice([*Action, Action.APPROVE, Action.UNDO, Action.UNDO])
        try:
            _decide(database, clock, mapping.id, action, target)
        except (InvalidInput, Conflict):
            return


def _check_invariants(session: Session) -> None:
    found = mappings.page(session, mappings.Filter(), None, 1_000).items
    for status in (LIVE, ("pending",)):
        standing = [m.normalized for m in found if m.status in status]
        assert len(standing) == len(set(standing))
    assert all((m.live_from is not None) == (m.status in LIVE) for m in found)
    assert all((m.target is not None) or m.status not in LIVE for m in found)
    assert sum(m.rows for m in found) == rows_stored(session)
    spans: dict[str, list[tuple[int, int]]] = {}
    for mapping in found:
        own = spans.setdefault(mapping.normalized, [])
        own += [(s["live_from"], s["live_to"]) for s in history.spans(session, mapping.id)]
        if mapping.live_from is not None:
            own.append((mapping.live_from, 1_000_000))
    for of_text in spans.values():
        pairs = pairwise(sorted(of_text))
        assert all(before[1] <= after[0] for before, after in pairs)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_an_old_offset_gives_the_same_rows(
    database: Database, clock: Clock, seed: int
) -> None:
    random = Random(seed)  # noqa: S311
    load_catalogue(database, clock)
    then: dict[int, Frames] = {}
    for _ in range(40):
        _act(database, clock, random)
        with database.read() as session:
            _check_invariants(session)
            as_of = log.latest(session)
            then.setdefault(as_of, _frames(session, as_of))
    assert len(then) > 10
    with database.read() as session:
        for as_of, (texts, rows) in then.items():
            later_texts, later_rows = _frames(session, as_of)
            pd.testing.assert_frame_equal(later_texts, texts)
            pd.testing.assert_frame_equal(later_rows, rows)
