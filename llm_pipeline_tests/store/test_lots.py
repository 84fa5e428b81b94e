"""Lots: every submission takes part once, with the probability that is written down."""

from collections import Counter

import pytest
from sqlalchemy import func, select

from llm_pipeline.domain.approval import single_probability
from llm_pipeline.domain.binomial import audits_needed
from llm_pipeline.domain.drawing import MOST, SPARED
from llm_pipeline.domain.records import Action
from llm_pipeline.steps.draw_audits import draw_audits
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import log, lots
from llm_pipeline.store.engine import Database
from llm_pipeline.store.lots import Draw, Lot
from llm_pipeline.store.schema_automation import audits
from llm_pipeline_tests.automation_factories import DUE, LOT, suggest, word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge


@pytest.fixture
def store(database: Database, clock: Clock) -> Database:
    load_catalogue(database, clock)
    return database


def _draw(database: Database, clock: Clock, share: float = 1.0) -> Lot | None:
    with database.begin() as session:
        return lots.draw(session, Draw(share, DUE, LOT), clock())


def _audits(database: Database) -> list[tuple[int, str, int]]:
    a = audits.c
    with database.read() as session:
        query = select(a.mapping_id, a.kind, a.rows).order_by(a.id)
        return [tuple(row) for row in session.execute(query)]


def test_every_submission_takes_part_in_one_lot(store: Database, clock: Clock) -> None:
    assert _draw(store, clock) is None, "nothing arrived yet"
    merge(store, clock, [("MOON CAFE", None), ("moon cafe", None), ("SUN CAFE", None)])
    first, nothing = _draw(store, clock), _draw(store, clock)
    merge(store, clock, [("SUN CAFE", None)])
    second = _draw(store, clock)
    assert first is not None
    assert second is not None
    assert nothing is None
    assert (first.upto_id, second.after_id, first.drawn, second.drawn) == (3, 3, 2, 1)
    assert sorted(_audits(store)) == [(1, "arrival", 2), (2, "arrival", 1), (2, "arrival", 1)]


def test_what_a_person_labelled_is_not_audited(store: Database, clock: Clock) -> None:
    merge(store, clock, [("MOON CAFE", "SBUX")], trusted=True)
    merge(store, clock, [("SUN CAFE", None), ("STAR CAFE", None)])
    with store.begin() as session:
        decide(session, 2, Verdict(Action.CORRECT, 1, "ann", "GS"), clock())
        decide(session, 3, Verdict(Action.REJECT, 1, "ann"), clock())
    _draw(store, clock)
    assert _audits(store) == []


def test_what_joins_a_live_mapping_is_a_repeat(store: Database, clock: Clock) -> None:
    merge(store, clock, [("MOON CAFE", "SBUX")], trusted=True)
    _draw(store, clock, 0.0)
    merge(store, clock, [("MOON CAFE", None)] * 3)
    _draw(store, clock)
    assert _audits(store) == [(1, "repeat", 3)]
    with store.read() as session:
        row = session.execute(select(audits)).mappings().one()
    assert (row["stratum"], row["score"], row["policy_id"]) == ("exact", None, None)
    assert row["answer_target_id"] is not None


def test_repeats_of_the_years_before_the_first_lot_are_left_out(
    store: Database, clock: Clock
) -> None:
    merge(store, clock, [("MOON CAFE", "SBUX")], trusted=True)
    merge(store, clock, [("MOON CAFE", None)] * 3 + [("SUN CAFE", None)])
    _draw(store, clock)
    assert _audits(store) == [(2, "arrival", 1)]


def test_many_mappings_are_drawn_with_the_probability_written_down(
    store: Database, clock: Clock
) -> None:
    """Texts of one, two and three rows: the shares drawn, and of them those drawn once."""
    rows = {1: 700, 2: 700, 3: 700}
    texts = [
        (f"SHOP {word(n)} {word(size)}", None)
        for size, number in rows.items()
        for n in range(number)
        for _ in range(size)
    ]
    merge(store, clock, texts)
    lot = _draw(store, clock, 0.3)
    assert lot is not None
    with store.read() as session:
        found = session.execute(
            select(audits.c.rows, audits.c.inclusion_probability, audits.c.lot)
        ).all()
    drawn, single = Counter(row.rows for row in found), Counter[int]()
    for row in found:
        assert row.lot < row.inclusion_probability == pytest.approx(1 - 0.7**row.rows)
        single[row.rows] += row.lot < single_probability(row.rows, row.inclusion_probability)
    assert lot.drawn == len(found)
    for size, number in rows.items():
        expected = number * (1 - 0.7**size)
        assert abs(drawn[size] - expected) < 4 * (number * 0.25) ** 0.5
        once = number * size * 0.3 * 0.7 ** (size - 1)
        assert abs(single[size] - once) < 4 * (number * 0.25) ** 0.5


def test_the_lot_knows_nothing_of_the_answer(store: Database, clock: Clock) -> None:
    merge(store, clock, [(f"SHOP {word(n)}", None) for n in range(50)])
    with store.begin() as session:
        drawn = draw_audits(session, "tests", clock(), DUE, LOT)
        (told,) = log.read_since(session, 0, names=["audit:drawn"]) if drawn else (None,)
        again = draw_audits(session, "tests", clock(), DUE, LOT)
    suggest(store, range(1, 51), "SBUX")
    with store.begin() as session:
        assert draw_audits(session, "tests", clock(), DUE, LOT) == again == 0
        stored = session.scalar(select(func.count()).select_from(audits))
    assert stored == drawn
    assert told is None or told.payload["audits"] == drawn


def test_however_many_come_at_once_no_more_are_drawn_than_prove_the_bound(
    store: Database, clock: Clock
) -> None:
    with store.begin() as session:
        policy = fit_policy(session, Wish(0.5, 0.95), "tests", clock(), "tests")
    merge(store, clock, [(f"SHOP {word(n)}", None) for n in range(2_000)])
    wanted = audits_needed(0.5, 0.95, SPARED)
    with store.begin() as session:
        drawn = draw_audits(session, "tests", clock(), DUE, LOT)
        (told,) = log.read_since(session, 0, names=["audit:drawn"])
    assert policy.share == MOST
    assert told.payload["share"] == pytest.approx(wanted / 2_000)
    assert abs(drawn - wanted) < 4 * wanted**0.5
