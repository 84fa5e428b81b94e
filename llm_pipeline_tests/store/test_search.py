"""What searches find, in which order and how many, on both databases."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from llm_pipeline.domain.records import Action, Status, Submission, Target
from llm_pipeline.domain.text import normalize
from llm_pipeline.errors import InvalidInput
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import (
    asking,
    catalogue,
    filters,
    gathering,
    hits,
    mappings,
    schema,
    search,
    stretches,
)
from llm_pipeline.store.deadline import Deadline
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


FOUND: list[tuple[str, list[str]]] = [
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
]


def test_every_word_is_a_part_of_some_word(filled: Database) -> None:
    assert [(q, found(filled, Filter(q=q))) for q, _ in FOUND] == FOUND


FORGIVEN: list[tuple[str, dict[str, tuple[str, ...]], list[str]]] = [
    ("botle", {"botle": ("bottle",)}, ["Blue Bottle Café", "SQ *BLUE BOTTLE 0423"]),
    ("amzn mktpp", {"mktpp": ("mktp",)}, ["AMZN Mktp US*2K4"]),
    ("amazno", {"amazno": ("amazon",)}, ["Amazon 555-0423-1"]),
    # Each is there, but nowhere together: then typos are forgiven in both.
    ("bird bottle", {}, []),
    ("amzn 0424", {"0424": ("0423",)}, []),
    ("яндeкс", {"яндeкс": ("яндекс",)}, ["ЯНДЕКС ТАКСИ"]),
    ("qqqqqq", {}, []),
]


@pytest.mark.parametrize("most_tokens", [1_000, 0])
def test_typos_are_forgiven_where_nothing_matches(
    filled: Database, monkeypatch: pytest.MonkeyPatch, most_tokens: int
) -> None:
    monkeypatch.setattr(asking, "MOST_TOKENS", most_tokens)
    with filled.read() as session:
        for q, read_as, texts in FORGIVEN:
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
    for n in range(28):
        clock.time += timedelta(hours=15)
        target = f"K{n % 6}" if n % 4 else None
        if n % 2:
            merge(database, clock, [(f"shop {n} {'ab'[n % 2]}{n % 7}", target)])
            continue
        with database.begin() as session:
            said = Submission(f"store {n} x{n % 5}", target, submitter="x")
            submit(session, said, f"user {n % 3}", clock())
    with database.begin() as session:
        for n, action in enumerate([Action.APPROVE, Action.REJECT] * 4, 1):
            target = f"K{n % 6}" if action is Action.APPROVE else None
            decide(session, n, Verdict(action, 1, "ann", target), clock())


def everything(session: Session) -> list[StoredMapping]:
    ids = session.scalars(select(schema.mappings.c.id).order_by(schema.mappings.c.id.desc()))
    return mappings.by_ids(session, ids.all())


MIDDLE = datetime(2026, 3, 9, 12, tzinfo=UTC)
FILTERS: dict[str, list[Any]] = {
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
            other = schema.mappings.alias()
            beside = every_id.join(other, other.c.id == schema.mappings.c.id)
            assert len(session.scalars(beside).all()) == len(expected), wanted


@pytest.mark.parametrize("walk", [4, 4_096])
def test_pages_of_every_order_hold_each_mapping_once(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch, walk: int
) -> None:
    monkeypatch.setattr(stretches, "_FIRST_WALK", walk)
    monkeypatch.setattr(stretches, "_BLOCK", walk)
    monkeypatch.setattr(stretches, "_SORTED", 3)
    spread(database, clock)
    for n in range(5):
        merge(database, clock, [(f"shop {1 + n % 4 * 2} b{n}", None)] * (n % 3 + 1))
    with database.read() as session:
        every = everything(session)
        for wanted, sort in product((Filter(), Filter(q="s"), Filter(source="api")), Sort):
            expected = sorted((m for m in every if matches(m, wanted)), key=ORDERS[sort])
            seen = list(paged(session, wanted, sort))
            if sort is Sort.TEXT:  # PostgreSQL has its own order of letters
                seen, expected = sorted(seen), sorted(expected, key=lambda m: m.id)
            assert seen == [m.id for m in expected]


ORDERS: dict[Sort, Callable[[StoredMapping], tuple[float | str, int]]] = {
    Sort.NEWEST: lambda m: (0, -m.id),
    Sort.OLDEST: lambda m: (0, m.id),
    Sort.ROWS: lambda m: (-m.rows, -m.id),
    Sort.SUREST: lambda m: (-(m.probability or 0), -m.id),
    Sort.LEAST_SURE: lambda m: (m.probability or 0, m.id),
    Sort.TEXT: lambda m: (m.normalized, m.id),
}


def paged(session: Session, wanted: Filter, sort: Sort) -> Iterator[int]:
    page = search.find(session, wanted, sort, limit=7)
    yield from page.ids
    while page.next_position is not None:
        page = search.find(session, wanted, sort, page.next_position, limit=7)
        yield from page.ids


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


@pytest.mark.parametrize("stretch", [1, 1 << 16])
@pytest.mark.parametrize(
    ("most", "few", "rows"), [(2, 5, 500), (2, 0, 500), (100, 0, 500), (100, 0, 0), (100, 100, 500)]
)
def test_parts_of_many_words_are_found_and_counted_like_others(
    database: Database,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    few: int,
    rows: int,
    stretch: int,
) -> None:
    monkeypatch.setattr(hits, "AT_ONCE", {"sqlite": 2, "postgresql": 2})
    for name in ("FEW", "FEW_OF_BROAD"):
        monkeypatch.setattr(asking, name, few)
    monkeypatch.setattr(gathering, "ROWS_OF_A_PART", rows)
    monkeypatch.setattr(stretches, "_BLOCK", stretch)
    monkeypatch.setattr(stretches, "_SORTED", 3)
    for module in (asking, filters):
        monkeypatch.setattr(module, "MOST_TOKENS", most)
    spread(database, clock)
    merge(database, clock, [(f"{a}o{b}e", None) for a in "abc" for b in "xyz"])
    queries = product(("o", "o e", "sho o", "axo", "1 shop"), (None, "user 1"), (3, 1_000))
    with database.read() as session:
        every = everything(session)
        for q, submitter, cap in queries:
            monkeypatch.setattr(search, "COUNT_CAP", dict.fromkeys(search.COUNT_CAP, cap))
            wanted = Filter(q=q, submitter=submitter)
            expected = [one.id for one in every if matches(one, wanted)]
            page = search.find(session, wanted, limit=2)
            assert list(paged(session, wanted, Sort.NEWEST)) == expected
            assert list(paged(session, wanted, Sort.OLDEST)) == expected[::-1]
            if page.next_position is not None:
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


def test_what_was_found_in_time_is_kept(database: Database, clock: Clock) -> None:
    """Rows that come one by one on SQLite; stretch by stretch on PostgreSQL."""
    merge(database, clock, [(f"shop {n}", None) for n in range(3)])
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "postgresql": "SELECT pg_sleep(5)",
    }[database.engine.dialect.name]
    with database.read() as session, Deadline(session, 0.2) as deadline:
        first = deadline.rows(text("SELECT id FROM mappings"))
        late = deadline.rows(text(slow))
        assert (len(first), deadline.reached, deadline.rows(text("SELECT 1"))) == (3, True, [])
        assert bool(late) == deadline.is_sqlite
        assert mappings.page(session, Filter(q="shop"), None, 5).total == 3


def test_a_wrong_statement_is_no_time_limit(database: Database) -> None:
    with database.read() as session, pytest.raises(DBAPIError), Deadline(session, 1) as deadline:
        deadline.rows(text("SELECT nothing FROM nowhere"))


def test_a_lock_is_no_time_limit(database: Database, clock: Clock) -> None:
    if database.engine.dialect.name == "sqlite":  # its readers wait for no lock
        return
    merge(database, clock, [("shop", None)])
    with database.begin() as other, database.read() as session:
        other.execute(text("SELECT id FROM mappings FOR UPDATE"))
        with pytest.raises(DBAPIError), Deadline(session, 1) as deadline:
            deadline.rows(text("SELECT id FROM mappings FOR UPDATE NOWAIT"))


def test_nothing_is_found_in_an_empty_store(database: Database) -> None:
    for wanted in (Filter(since=MIDDLE), Filter(q="a"), Filter(q="aaaa bbbb"), Filter(target="T")):
        with database.read() as session:
            page = mappings.page(session, wanted, None, 5)
        assert (page.items, page.total, page.total_is_exact) == ([], 0, True)


def test_the_settings_of_a_search_end_with_it(database: Database, clock: Clock) -> None:
    if database.engine.dialect.name == "sqlite":
        return
    merge(database, clock, [("shop", None)])
    with database.begin() as session:
        assert mappings.page(session, Filter(q="sho"), None, 5).total == 1
        for name, value in (("statement_timeout", "0"), ("enable_seqscan", "on")):
            assert session.scalar(text(f"SHOW {name}")) == value
