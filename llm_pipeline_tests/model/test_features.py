from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer

from llm_pipeline.model.features import Ngrams, View

TEXTS = [
    "blue bottle coffee",
    "blue bottle",
    "bottle shop blue",
    "चाय की दुकान",
    "चाय वाला",
    "مقهى القاهرة",
    "مقهى الأهرام",
    "東京 ラーメン",
    "東京 駅",
    "🍕🍕🍕 pizza",
    "pizza house",
    "été à paris",
    "a b c",
    "a",
    "",
]


def terms(view: View, texts: list[str]) -> list[int]:
    """Return how many terms each text has."""
    counted = Ngrams((view,)).fit(texts).transform(texts)
    return [int(count) for count in np.diff(counted.indptr)]


def cosines(rows: csr_matrix) -> np.ndarray:
    return np.asarray((rows @ rows.T).toarray())


def test_cosines_are_those_of_the_tfidf_of_scikit_learn() -> None:
    own = cosines(Ngrams((View("letters", (2, 4)),)).fit_transform(TEXTS))
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, lowercase=False
    )
    known = cosines(vectorizer.fit_transform(TEXTS))
    np.testing.assert_allclose(own, known, atol=0.002)
    assert (own.round(2).argsort(kind="stable") == known.round(2).argsort(kind="stable")).all()


@pytest.mark.parametrize("text", [text for text in TEXTS if text])
def test_rows_have_length_one_whatever_the_script(text: str) -> None:
    rows = Ngrams((View("letters", (2, 3)), View("words", (1, 2)))).fit(TEXTS).transform([text])
    assert np.linalg.norm(rows.toarray()) == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize(
    ("view", "text", "count"),
    [
        (View("letters", (3, 3)), "taxi", 4),  # " ta" "tax" "axi" "xi "
        (View("letters", (2, 3)), "ab cd", 6 + 4),
        (View("letters", (3, 3)), "a", 1),
        (View("letters", (5, 9)), "ab", 0),
        (View("first word", (3, 3)), "taxi blue bottle", 3),  # " ta" "tax" "axi"
        (View("skeleton", (3, 3)), "realty", 3),  # " rl" "rlt" "lt "
        (View("words", (1, 1)), "blue bottle blue", 2 + 2 + 1),
        (View("words", (1, 2)), "blue bottle cafe", 3 + 2 + 2 + 1),
        (View("words", (1, 1)), "", 0),
    ],
)
def test_counts_the_terms_of_each_view(view: View, text: str, count: int) -> None:
    assert terms(view, [text]) == [count]


@pytest.mark.parametrize(
    ("view", "one", "other"),
    [
        (View("skeleton", (3, 3)), "realty trust", "rlty trst"),
        (View("first word", (3, 4)), "amazon marketplace", "amazon prime"),
        (View("words", (1, 1)), "taxi", "taxi"),
    ],
)
def test_views_see_no_difference_where_they_do_not_look(view: View, one: str, other: str) -> None:
    rows = Ngrams((view,)).fit_transform([one, other, "unlike"])
    assert cosines(rows)[0, 1] == pytest.approx(1, abs=0.002)


def test_pairs_of_words_count_in_any_order_but_neighbours_in_order_too() -> None:
    same, turned, apart = cosines(
        Ngrams((View("words", (1, 3)),)).fit_transform(["blue bottle", "bottle blue", "blue cafe"])
    )[0]
    assert same > turned > apart > 0


def test_terms_that_were_not_learned_do_not_count() -> None:
    ngrams = Ngrams().fit(["taxi"])
    assert ngrams.transform(["pizza", "", "東京"]).nnz == 0
    assert ngrams.transform([]).shape == (0, 4)


def test_at_most_so_many_terms_are_kept_the_most_frequent_ones() -> None:
    ngrams = Ngrams(max_terms=4).fit(["taxi", "taxi", "xylophone"])
    assert len(ngrams.columns_) == 4
    assert ngrams.transform(["taxi"]).nnz == 4


def test_balanced_views_weigh_what_they_are_given() -> None:
    views = (View("letters", (3, 3)), View("words", (1, 1), 0.5))
    row = Ngrams(views, balanced=True).fit(["blue bottle"]).transform(["blue bottle"])
    words = row.toarray()[0, -4:]  # the columns of the last view come last
    assert np.linalg.norm(words) == pytest.approx(0.5 / np.hypot(1, 0.5), abs=0.001)


def test_restored_it_gives_the_same_rows() -> None:
    one = Ngrams().fit(TEXTS)
    other = Ngrams().restore(one.columns_, one.idf_)
    np.testing.assert_array_equal(one.transform(TEXTS).toarray(), other.transform(TEXTS).toarray())


def test_growing_adds_new_terms_and_leaves_known_ones_where_they_are() -> None:
    ngrams = Ngrams().fit(["city taxi", "airport taxi"])
    before = ngrams.transform(["city taxi"])
    ngrams.grow(["pizza taxi"])
    after = ngrams.transform(["city taxi", "pizza"])
    assert after.shape[1] == before.shape[1] + 5
    np.testing.assert_array_equal(after.toarray()[:1, : before.shape[1]], before.toarray())
    assert after[1].nnz == 5
    ngrams.grow(["pizza", ""])
    assert ngrams.transform([]).shape[1] == after.shape[1]


def test_grows_in_several_threads_while_others_read() -> None:
    ngrams = Ngrams().fit(["taxi"])
    words = [f"{one * 3}{other * 3}" for one, other in permutations("abcdefghijklmnopqrst", 2)]

    def use(word: str) -> bool:
        ngrams.grow([word])
        rows = ngrams.transform([word, "taxi"])
        return bool(rows.indices.max() < rows.shape[1] and rows[0].nnz == len(word))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(use, words))
    assert len(ngrams.columns_) == len(np.unique(ngrams.columns_)) == len(ngrams.idf_)
    known = Ngrams().fit([*words, "taxi"])
    assert sorted(ngrams.columns_) == known.columns_.tolist()


@pytest.mark.parametrize("text", ["\0", "a\0b", "\0\0taxi", "\ud800", "taxi \udfff", "a" * 10_000])
def test_odd_texts_stay_rows_of_their_own(text: str) -> None:
    ngrams = Ngrams((View("letters", (2, 3)), View("words", (1, 2)), View("first word", (3, 3))))
    rows = ngrams.fit(["taxi"]).transform(["taxi", text, "taxi"])
    assert rows.shape[0] == 3
    np.testing.assert_array_equal(rows.toarray()[0], rows.toarray()[2])
