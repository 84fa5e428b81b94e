from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Event

import numpy as np
import pytest

from llm_pipeline.model import neighbours
from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.neighbours import VIEWS, Found, Index

WORDS = ["blue", "bottle", "city", "taxi", "corner", "books", "grand", "hotel", "चाय", "東京", "🍕"]


def made_up(documents: int, seed: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnop"))
    return [
        f"{random.choice(WORDS)} {''.join(random.choice(letters, 7))} {random.choice(WORDS)}"
        for _ in range(documents)
    ]


def over(texts: list[str], fitted_on: list[str] | None = None) -> Index:
    index = Index(Ngrams(VIEWS, balanced=True).fit(texts if fitted_on is None else fitted_on))
    index.add(texts)
    return index


def same(one: Found, other: Found) -> bool:
    near = np.allclose(one.cosine, other.cosine, atol=1e-6)
    return near and bool((one.document == other.document).all())


def test_finds_the_nearest_documents_best_first() -> None:
    found = over(["blue bottle", "city taxi", "blue taxi"]).search(["city taxi", "moon taxi"], 2)
    assert found.document[:, 0].tolist() == [1, 2]
    assert found.cosine[0, 0] == pytest.approx(1, abs=0.002)
    assert (np.diff(found.cosine, axis=1) <= 0).all()


@pytest.mark.parametrize("texts", [[], ["blue bottle"]])
def test_where_nothing_is_like_it_nothing_is_found(texts: list[str]) -> None:
    found = over(texts).search(["xqzw", ""], 2)
    assert found.document.tolist() == [[-1, -1]] * 2
    assert found.cosine.tolist() == [[0.0, 0.0]] * 2


def test_nothing_asked_is_nothing_found() -> None:
    assert over(["taxi"]).search([], 3).document.shape == (0, 3)


def test_of_equal_documents_the_first_one_is_found() -> None:
    index = over(["city taxi", "blue bottle", "city taxi", "city taxi"])
    index.add(["city taxi"])
    assert index.search(["city taxi", "taxi"], 3).document.tolist() == [[0, 2, 3]] * 2


def test_added_one_by_one_it_answers_like_one_built_at_once() -> None:
    texts = made_up(120)
    at_once, grown = over(texts), over([], texts)
    for text in texts:
        grown.add([text])
    asked = made_up(40, seed=1)
    assert same(grown.search(asked, 5), at_once.search(asked, 5))
    assert len(grown) == len(at_once) == 120
    np.testing.assert_array_equal(grown.rows().toarray(), at_once.rows().toarray())


def test_segments_merge_as_they_grow() -> None:
    index = over([], made_up(200))
    for text in made_up(200):
        index.add([text])
    sizes = [segment.size for segment in index._segments]
    assert sum(sizes) == 200
    assert all(one >= neighbours.GROWTH * other for one, other in pairwise(sizes))


def test_documents_with_new_terms_are_found_by_them() -> None:
    index = over(made_up(30))
    index.add(["quartz lantern"])
    assert index.search(["quartz lantern", "lantern"], 1).document.tolist() == [[30], [30]]


def test_searching_by_the_rarest_terms_finds_the_same_best_as_by_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = made_up(600)
    index = over(texts)
    asked = [text[:-1] + "x" for text in texts[::7]]
    by_all = index.search(asked, 1)
    monkeypatch.setattr(neighbours, "SMALL", 10)
    for large in (10_000, 100):
        monkeypatch.setattr(neighbours, "LARGE", large)
        by_rarest = index.search(asked, 1)
        assert (by_rarest.document == by_all.document).all()
        np.testing.assert_allclose(by_rarest.cosine, by_all.cosine, atol=1e-6)


def test_terms_of_other_documents_do_not_use_up_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rarest n-grams of a text are those that no document here has."""
    monkeypatch.setattr(neighbours, "SMALL", 10)
    elsewhere = ["quartz lantern of the northern jetty"]
    index = over(made_up(200), [*made_up(200), *elsewhere])
    wanted = made_up(200)[17]
    assert index.search([f"{wanted} {elsewhere[0]}"], 1).document.tolist() == [[17]]


def test_two_threads_find_what_one_does() -> None:
    index, asked = over(made_up(300)), made_up(100, seed=1)
    assert same(index.search(asked, 4, threads=2), index.search(asked, 4))


def test_is_searched_while_others_add_to_it() -> None:
    texts = made_up(300)
    index, ended = over(texts[:50]), Event()

    def search() -> int:
        searches = 0
        while not ended.is_set() or not searches:
            found = index.search(texts[:50], 1)
            assert found.document[:, 0].tolist() == list(range(50))
            searches += 1
        return searches

    with ThreadPoolExecutor(3) as threads:
        searching = threads.submit(search)
        list(threads.map(lambda text: index.add([text]), texts[50:]))
        ended.set()
        assert searching.result() > 0
    assert len(index) == 300
    assert (index.search(texts, 1).cosine > 0.99).all()
