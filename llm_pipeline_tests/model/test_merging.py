import numpy as np
import pytest

from llm_pipeline.domain.records import Target
from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.merging import (
    FIRST_OF_NAME,
    SUPPORT,
    Offer,
    behind,
    merge,
    offer,
    with_siblings,
)
from llm_pipeline.model.sources import CatalogueNames, Near, objects


def offered(source: int, *lines: tuple[int, str, float, int]) -> Offer:
    row, target, probability, document = zip(*lines, strict=True) if lines else ((), (), (), ())
    return Offer(
        source,
        np.array(row, dtype=np.int64),
        objects(target),
        np.array(probability, dtype=np.float64),
        np.array(document, dtype=np.int64),
    )


def answers(*offers: Offer, k: int = 5) -> list[tuple[int, str, float]]:
    merged = merge(offers, k)
    chances = merged.probability.round(6).tolist()
    return list(zip(merged.row.tolist(), merged.target.tolist(), chances, strict=True))


def test_the_surer_source_speaks_for_a_target_and_both_are_named() -> None:
    merged = merge([offered(0, (0, "a", 0.6, -1)), offered(1, (0, "a", 0.7, 3))], 5)
    assert merged.target.tolist() == ["a"]
    assert merged.probability.tolist() == [0.7]
    assert merged.sources.tolist() == [0b11]
    assert (merged.document.tolist(), merged.shown_by.tolist()) == ([3], [1])


def test_the_surest_source_with_a_document_shows_it() -> None:
    model, near = offered(0, (0, "a", 0.9, -1)), offered(1, (0, "a", 0.2, 4), (0, "a", 0.3, 5))
    merged = merge([model, near], 5)
    assert (merged.document.tolist(), merged.shown_by.tolist()) == ([5], [1])
    alone = merge([model], 5)
    assert (alone.document.tolist(), alone.shown_by.tolist()) == ([-1], [-1])


def test_texts_keep_their_order_and_their_surest_targets() -> None:
    one = offered(0, (2, "a", 0.1, -1), (0, "b", 0.5, -1), (0, "c", 0.2, -1))
    other = offered(1, (0, "d", 0.3, 1), (2, "e", 0.4, 2))
    assert answers(one, other, k=2) == [(0, "b", 0.5), (0, "d", 0.3), (2, "e", 0.4), (2, "a", 0.1)]


def test_runners_up_share_what_the_best_answer_leaves_over() -> None:
    found = answers(offered(0, (0, "a", 0.8, -1)), offered(1, (0, "b", 0.6, 1), (0, "c", 0.2, 2)))
    assert found == [(0, "a", 0.8), (0, "b", 0.15), (0, "c", 0.05)]
    assert answers(offered(0, (0, "a", 1.0, -1), (0, "b", 0.9, -1)))[1] == (0, "b", 0.0)


def test_equally_sure_targets_keep_their_order_whatever_else_is_asked() -> None:
    tied = [(1, "b", 0.4, 1), (1, "a", 0.4, 2)]
    alone = answers(offered(1, *tied))
    among = answers(offered(1, (0, "a", 0.9, 0), *tied))
    assert [target for _, target, _ in alone] == ["b", "a"]
    assert among[1:] == alone


def test_what_another_source_answers_for_is_only_supported_but_by_newer_documents() -> None:
    near = offered(1, (0, "a", 0.9, 3), (0, "b", 0.8, 4), (0, "a", 0.7, 9))
    found = behind(near, {"a"}, before=9).probability
    assert found.tolist() == pytest.approx([0.9 * SUPPORT, 0.8, 0.7])
    assert behind(near, {"a"}).probability[2] == pytest.approx(0.7 * SUPPORT)


def test_no_offers_are_no_answers() -> None:
    assert answers(offered(0), offered(1)) == []


def test_offers_what_has_a_target_and_a_chance() -> None:
    near = Near(
        np.array([["a", "b", ""], ["", "", ""]], dtype=object),
        np.array([[0.9, 0.5, 0.0], [0.0, 0.0, 0.0]]),
        np.array([[4, 5, -1], [-1, -1, -1]]),
        np.ones(2),
    )
    found = offer(1, near, np.array([[0.8, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert (found.row.tolist(), found.target.tolist()) == ([0], ["a"])
    assert (found.probability.tolist(), found.document.tolist()) == ([0.8], [4])


@pytest.mark.parametrize(
    ("most", "others"), [(2, {"GOOGL": 0.05}), (5, {"GOOGL": 0.025, "GOOG.L": 0.025})]
)
def test_targets_of_one_name_share_its_probability_the_first_one_first(
    most: int, others: dict[str, float]
) -> None:
    names = CatalogueNames(Ngrams().fit(["alphabet", "apple"]))
    names.update([Target(key, "Alphabet") for key in ("GOOG", "GOOGL", "GOOG.L")])
    names.update([Target("AAPL", "Apple")])
    shared = with_siblings(offered(2, (0, "GOOG", 0.8, 0), (1, "AAPL", 0.7, 1)), names, most)
    chances = dict(zip(shared.target.tolist(), shared.probability.tolist(), strict=True))
    wanted = {"GOOG": FIRST_OF_NAME, **others}
    assert chances == pytest.approx({"AAPL": 0.7} | {key: 0.8 * p for key, p in wanted.items()})
    assert shared.document.tolist() == [0, 1] + [0] * len(others)


def test_names_of_one_target_stay_as_they_are() -> None:
    names = CatalogueNames(Ngrams().fit(["apple"]))
    names.update([Target("AAPL", "Apple")])
    alone = offered(2, (0, "AAPL", 0.7, 0))
    assert with_siblings(alone, names, 5) is alone
