"""What searches find, in which order and how many, on both databases."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from llm_pipeline.domain.records import Action, Status, Submission, Target
from llm_pipeline.domain.text import normalize
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import asking, catalogue, filters, hits, mappings, schema, search
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.filters import Filter
from llm_pipeline.store.mappings import StoredMapping
from llm_pipeline.store.ordering import Sort
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge

TEXTS = [
    ("SQ *BLUE BOTTLE 0423", "SBUX"),
    ("Blue Bottle Café", None),
    ("AMZN Mktp US*2K4", "AMZN"),
    ("Amazon 555-0423-1", "AMZN"),
    ("étoile 42", None),
    ("ЯНДЕКС ТАКСИ", "UBER"),
    ("🍕", None),
    ("bluebird cafe", "SBUX"),
    ("new new york", None),
]


@pytest.fixture
def filled(database: Database, clock: Clock) -> Database:
    load_catalogue(database, clock)
    for row in TEXTS:
        merge(database, clock, [row])
    return database


def found(database: Database, wanted: Filter, **more: object) -> list[str]:
    with database.read() as session:
        return [m.text for m in mappings.page(session, wanted, None, 50, **more).items]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("q", "texts"),
    [
        ("blue", ["bluebird cafe", "Blue Bottle Café", "SQ *BLUE BOTTLE 0423"]),
        ("lue bot", ["Blue Bottle Café", "SQ *BLUE BOTTLE 0423"]),
        ("bottle blue", ["Blue Bottle Café", "SQ *BLUE BOTTLE 0423"]),
        ('"SQ *BLUE"', ["SQ *BLUE BOTTLE 0423"]),
        ("0423", ["Amazon 555-0423-1", "SQ *BLUE BOTTLE 0423"]),
        ("42", ["étoile 42", "Amazon 555-0423-1", "SQ *BLUE BOTTLE 0423"]),
        ("2k", ["AMZN Mktp US*2K4"]),
        ("ÉTOILE", ["étoile 42"]),
        ("такс", ["ЯНДЕКС ТАКСИ"]),
        ("🍕", ["🍕"]),
        ("new", ["new new york"]),
        ("*", ["AMZN Mktp US*2K4", "SQ *BLUE BOTTLE 0423"]),
        ("approved", []),
        ("pending", []),
        ("blue taxi", []),
        ("", [text for text, _ in reversed(TEXTS)]),
    ],
)
def test_every_word_is_a_part_of_some_word(filled: Database, q: str, texts: list[str]) -> None:
    assert found(filled, Filter(q=q)) == texts


@pytest.mark.parametrize(
    ("q", "read_as", "texts"),
    [
        ("botle", {"botle": ("bottle",)}, ["Blue Bottle Café", "SQ *BLUE BOTTLE 0423"]),
        ("amzn mktpp", {"mktpp": ("mktp",)}, ["AMZN Mktp US*2K4"]),
        ("amazno", {"amazno": ("amazon",)}, ["Amazon 555-0423-1"]),
        # Each is there, but nowhere together: then typos are forgiven in both.
        ("bird bottle", {}, []),
        ("amzn 0424", {"0424": ("0423",)}, []),
        ("яндeкс", {"яндeкс": ("яндекс",)}, ["ЯНДЕКС ТАКСИ"]),
        ("qqqqqq", {}, []),
    ],
)
def test_typos_are_forgiven_where_nothing_matches(
    filled: Database, q: str, read_as: dict[str, tuple[str, ...]], texts: list[str]
) -> None:
    with filled.read() as session:
        page = mappings.page(session, Filter(q=q), None, 50)
    assert (page.read_as, [m.text for m in page.items]) == (read_as, texts)


def test_words_that_are_nowhere_together_are_taken_for_near_ones(
    database: Database, clock: Clock
) -> None:
    merge(database, clock, [("green tee house", None), ("tea shop", None)])
    with database.read() as session:
        page = mappings.page(session, Filter(q="green tea"), None, 50)
    assert [m.text for m in page.items] == ["green tee house"]
    assert page.read_as == {"tea": ("tee",)}


def spread(database: Database, clock: Clock) -> None:
    """Mappings of every status, source, upload, submitter, target and day."""
    with database.begin() as session:
        many = [Target(f"K{n}", f"Name {n}", f"cat{n % 3}") for n in range(6)]
        catalogue.load(session, many, 1)
    for n in range(60):
        clock.time += timedelta(hours=7)
        target = f"K{n % 6}" if n % 4 else None
        if n % 2:
            merge(database, clock, [(f"shop {n} {'ab'[n % 2]}{n % 7}", target)])
            continue
        with database.begin() as session:
            said = Submission(f"store {n} x{n % 5}", target, submitter="x")
            submit(session, said, f"user {n % 3}", clock())
    with database.begin() as session:
        for n, action in enumerate([Action.APPROVE, Action.REJECT] * 12, 1):
            target = f"K{n % 6}" if action is Action.APPROVE else None
            decide(session, n, Verdict(action, 1, "ann", target), clock())


def everything(session: Session) -> list[StoredMapping]:
    ids = session.scalars(select(schema.mappings.c.id).order_by(schema.mappings.c.id.desc()))
    return mappings.by_ids(session, ids.all())


MIDDLE = datetime(2026, 3, 9, 12, tzinfo=UTC)
FILTERS: dict[str, Sequence[Any]] = {
    "q": ["", "sho", "1", "store x3"],
    "status": [None, Status.PENDING, (Status.APPROVED, Status.REJECTED)],
    "target": [None, "K1"],
    "category": [None, "cat2", "none"],
    "source": [None, "api"],
    "upload": [None, 3],
    "submitter": [None, "user 1"],
    "since": [None, MIDDLE],
    "until": [None, MIDDLE],
}


def matches(one: StoredMapping, wanted: Filter) -> bool:
    key = one.target or one.proposed_target
    category = f"cat{int(key[1:]) % 3}" if key else None
    return (
        all(word in one.normalized for word in normalize(wanted.q).split())
        and (not wanted.statuses or one.status.value in wanted.statuses)
        and wanted.target in (None, key)
        and wanted.category in (None, category)
        and wanted.source in (None, one.source)
        and wanted.upload in (None, one.upload_id)
        and wanted.submitter in (None, one.submitter)
        and (wanted.since is None or one.created_at >= wanted.since)
        and (wanted.until is None or one.created_at < wanted.until)
    )


def combinations() -> Iterator[Filter]:
    """Every pair of neighbouring filters' values, and all filters at once."""
    names = list(FILTERS)
    for first, second in zip(names, [*names[2:], *names[:2]], strict=True):
        for a, b in product(FILTERS[first], FILTERS[second]):
            yield Filter(**{first: a, second: b})
    yield Filter(**{name: values[1] for name, values in FILTERS.items()})


@pytest.mark.parametrize("most_tokens", [500, 1, 0])
def test_filters_and_words_together_match_what_a_scan_does(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch, most_tokens: int
) -> None:
    """Whether conditions are looked up as tokens or checked on rows, the answer is the same."""
    for module in (filters, asking):
        monkeypatch.setattr(module, "MOST_TOKENS", most_tokens)
    spread(database, clock)
    with database.read() as session:
        every = everything(session)
        for wanted in dict.fromkeys(combinations()):
            expected = [one.id for one in every if matches(one, wanted)]
            page = search.find(session, wanted, limit=60)
            assert page.ids == expected, wanted
            assert (page.total, page.total_is_exact) == (len(expected), True), wanted
            assert not page.timed_out
            every_id = select(schema.mappings.c.id).where(search.clause(session, wanted))
            assert sorted(session.scalars(every_id)) == sorted(expected), wanted


@pytest.mark.parametrize("walk", [4, 4_096])
@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("wanted", [Filter(), Filter(q="s"), Filter(status=Status.PENDING)])
def test_pages_of_every_order_hold_each_mapping_once(
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    walk: int,
    sort: Sort,
    wanted: Filter,
) -> None:
    monkeypatch.setattr(hits, "_FIRST_WALK", walk)
    spread(database, clock)
    for n in range(10):
        merge(database, clock, [(f"shop {1 + n % 4 * 2}", None)] * (n % 3 + 1))
    seen: list[StoredMapping] = []
    cursor: str | None = None
    with database.read() as session:
        while not seen or cursor is not None:
            page = mappings.page(session, wanted, cursor, 7, sort)
            seen += page.items
            cursor = page.next_cursor
        every = [one for one in everything(session) if matches(one, wanted)]
    keys = {
        Sort.NEWEST: lambda m: -m.id,
        Sort.OLDEST: lambda m: m.id,
        Sort.ROWS: lambda m: (-m.rows, -m.id),
        Sort.SUREST: lambda m: (-(m.probability or 0), -m.id),
        Sort.LEAST_SURE: lambda m: (m.probability or 0, m.id),
        Sort.TEXT: lambda m: (m.normalized, m.id),
    }
    expected = sorted(every, key=keys[sort])
    if sort is Sort.TEXT:  # the database's own order of letters
        assert sorted(m.id for m in seen) == sorted(m.id for m in expected)
    else:
        assert [m.id for m in seen] == [m.id for m in expected]


@pytest.mark.parametrize(
    "cursor", ["newest", "oldest:1:", "rows:x:1", "newest:99999999999999999999:"]
)
def test_a_cursor_of_another_order_is_refused(database: Database, cursor: str) -> None:
    with database.read() as session, pytest.raises(InvalidInput, match="another"):
        search.find(session, Filter(), after=cursor)
    with database.read() as session, pytest.raises(InvalidInput, match="no number"):
        search.find(session, Filter(), Sort.ROWS, after="rows:1:x")


def test_too_many_are_not_sorted_by_what_no_index_keeps(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "SORT_CAP", 3)
    assert len(found(filled, Filter(q="blue"), sort=Sort.TEXT)) == 3
    with pytest.raises(InvalidInput, match="more than 3 mappings match"):
        found(filled, Filter(), sort=Sort.TEXT)


@pytest.mark.parametrize("q", ["o", "o e", "sho o"])
@pytest.mark.parametrize("cap", [3, 1_000])
@pytest.mark.parametrize(("most", "few"), [(2, 5), (100, 0), (100, 100)])
@pytest.mark.parametrize("wanted", [Filter(), Filter(submitter="user 1"), Filter(category="cat1")])
def test_parts_of_many_words_are_counted_like_others(
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    q: str,
    cap: int,
    most: int,
    few: int,
    wanted: Filter,
) -> None:
    monkeypatch.setattr(hits, "AT_ONCE", {"sqlite": 2, "postgresql": 2})
    monkeypatch.setattr(asking, "FEW", few)
    monkeypatch.setattr(search, "COUNT_CAP", cap)
    for module in (asking, filters):
        monkeypatch.setattr(module, "MOST_TOKENS", most)
    spread(database, clock)
    merge(database, clock, [(f"{a}o{b}e", None) for a in "abcd" for b in "xyz"])
    asked = Filter(q=q, submitter=wanted.submitter, category=wanted.category)
    with database.read() as session:
        expected = [one.id for one in everything(session) if matches(one, asked)]
        page = search.find(session, asked, limit=2)
        rest = search.find(session, asked, after=page.next_position, limit=99)
    assert page.ids == expected[:2]
    if page.next_position:
        assert page.ids + rest.ids == expected
        assert page.total == min(cap, len(expected))
        assert page.total_is_exact == (len(expected) <= cap)


def test_a_search_that_runs_out_of_time_says_so(filled: Database) -> None:
    for wanted in (Filter(q="blue"), Filter(q="*"), Filter(source="api")):
        with filled.read() as session:
            page = mappings.page(session, wanted, None, 5, seconds=0)
            assert (page.items, page.timed_out, page.total_is_exact) == ([], True, False)
            assert len(mappings.page(session, wanted, None, 5).items) > 0 or wanted.source


def test_other_processes_see_new_words_at_once(filled: Database, clock: Clock) -> None:
    assert found(filled, Filter(q="zebra")) == []
    other = Database(filled.engine)
    merge(other, clock, [("zebra crossing", None)])
    assert found(filled, Filter(q="ebra")) == ["zebra crossing"]
