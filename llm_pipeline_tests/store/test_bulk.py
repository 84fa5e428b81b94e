"""What submissions become: each row of a table is a story of chunks and how the mappings stand."""

import pytest

from llm_pipeline.domain.records import Action
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import history, log, mappings, training
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, standing

Rows = list[tuple[str, str | None]]
Standing = list[tuple[str, str, str | None, str | None, int]]

PENDING_STORIES: dict[str, tuple[list[tuple[str, Rows]], Standing]] = {
    "a new text waits": ([("p", [("A", None)])], [("A", "pending", None, None, 1)]),
    "texts alike are one": (
        [("p", [("A-1", None), ("a 1", None)]), ("p", [("A.1", None)])],
        [("A-1", "pending", None, None, 3)],
    ),
    "a proposal fills one that had none": (
        [("p", [("A", None), ("A", "GS")])],
        [("A", "pending", None, "GS", 2)],
    ),
    "a later proposal fills one that waits": (
        [("p", [("A", None)]), ("p", [("A", "GS")])],
        [("A", "pending", None, "GS", 2)],
    ),
    "no proposal joins the live one": (
        [("t", [("A", "GS")]), ("p", [("a", None)])],
        [("A", "approved", "GS", "GS", 2)],
    ),
    "the same proposal joins the live one": (
        [("t", [("A", "GS")]), ("p", [("a", "GS")])],
        [("A", "approved", "GS", "GS", 2)],
    ),
    "another proposal waits beside the live one": (
        [("t", [("A", "GS")]), ("p", [("a", "UBER"), ("a", None)])],
        [("A", "approved", "GS", "GS", 2), ("a", "pending", None, "UBER", 1)],
    ),
}
TRUSTED_STORIES: dict[str, tuple[list[tuple[str, Rows]], Standing]] = {
    "a label is live at once": ([("t", [("A", "GS")])], [("A", "approved", "GS", "GS", 1)]),
    "the last label wins": (
        [("t", [("A", "GS"), ("A", "UBER")])],
        [("A", "retired", "GS", "GS", 1), ("A", "approved", "UBER", "UBER", 1)],
    ),
    "a label comes back within a chunk": (
        [("t", [("A", "GS"), ("A", "UBER"), ("a", "GS")])],
        [("A", "approved", "GS", "GS", 2), ("A", "retired", "UBER", "UBER", 1)],
    ),
    "a label comes back in a later chunk": (
        [("t", [("A", "GS")]), ("t", [("A", "UBER")]), ("t", [("A", "GS")])],
        [("A", "approved", "GS", "GS", 2), ("A", "retired", "UBER", "UBER", 1)],
    ),
    "the same label again joins": (
        [("t", [("A", "GS")]), ("t", [("a", "GS")])],
        [("A", "approved", "GS", "GS", 2)],
    ),
    "a label settles what waited": (
        [("p", [("A", "UBER")]), ("t", [("A", "GS")])],
        [("A", "approved", "GS", "UBER", 2)],
    ),
    "a label settles what waited and the last one wins": (
        [("p", [("A", None)]), ("t", [("A", "GS"), ("A", "UBER")])],
        [("A", "approved", "UBER", None, 2), ("A", "retired", "GS", "GS", 1)],
    ),
}


@pytest.mark.parametrize("story", [*PENDING_STORIES, *TRUSTED_STORIES])
def test_what_submissions_become(database: Database, clock: Clock, story: str) -> None:
    chunks, expected = (PENDING_STORIES | TRUSTED_STORIES)[story]
    load_catalogue(database, clock)
    for kind, rows in chunks:
        merge(database, clock, rows, trusted=kind == "t")
    assert sorted(standing(database), key=str) == sorted(expected, key=str)


def _conflicts(database: Database) -> list[bool]:
    with database.read() as session:
        return [m.conflict for m in mappings.page(session, mappings.Filter(), None, 10).items]


@pytest.mark.parametrize(
    "chunks",
    [
        [[("A", "GS"), ("A", "UBER")]],
        [[("A", "GS")], [("A", "UBER")]],
        [[("A", None), ("A", "GS"), ("A", "UBER")]],
        [[("A", None)], [("A", "GS"), ("A", "UBER")]],
    ],
)
def test_two_proposals_that_differ_are_a_conflict(
    database: Database, clock: Clock, chunks: list[Rows]
) -> None:
    load_catalogue(database, clock)
    for rows in chunks:
        merge(database, clock, rows)
    assert _conflicts(database) == [True]


def test_one_proposal_many_times_is_no_conflict(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS"), ("A", None), ("A", "GS")])
    assert _conflicts(database) == [False]


def test_a_rejected_text_is_not_asked_again_without_a_proposal(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", None)])
    with database.begin() as session:
        decide(session, 1, Verdict(Action.REJECT, 1, "ann"), clock())
    merge(database, clock, [("A", None)])
    merge(database, clock, [("A", "GS")])
    assert standing(database) == [
        ("A", "rejected", None, None, 2),
        ("A", "pending", None, "GS", 1),
    ]


def test_a_superseded_label_keeps_the_span_in_which_it_was_live(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    for target in ("GS", "UBER", "GS"):
        merge(database, clock, [("A", target)], trusted=True)
    with database.read() as session:
        first, second = history.spans(session, 1), history.spans(session, 2)
        live = mappings.live(session, "a")
    ended = {"ended_by": "superseded"}
    assert first == [{"target": "GS", "live_from": 2, "live_to": 3} | ended]
    assert second == [{"target": "UBER", "live_from": 3, "live_to": 4} | ended]
    assert live is not None
    assert (live.id, live.live_from) == (1, 4)


def test_an_empty_chunk_changes_nothing(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [])
    merge(database, clock, [], trusted=True)
    assert standing(database) == []


def test_a_text_of_the_longest_kind_fits_the_indexes(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    text = "".join(chr(0x4E00 + 7 * number) for number in range(866))
    merge(database, clock, [(text, "GS")], trusted=True)
    with database.read() as session:
        assert training.live_texts(session, log.latest(session))["text"].tolist() == [text]
