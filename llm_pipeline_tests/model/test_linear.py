import numpy as np
import pandas as pd
import pytest

from llm_pipeline.model import linear
from llm_pipeline.model.linear import (
    UNTESTED,
    LinearModel,
    shares,
    tops,
)
from llm_pipeline.model.pairs import distinct_pairs, later_keys


def assert_probabilities_fall_and_add_up(probabilities: np.ndarray) -> None:
    assert (np.diff(probabilities, axis=1) <= 1e-12).all()
    assert (probabilities >= 0).all()
    assert (probabilities.sum(axis=1) <= 1 + 1e-9).all()


def test_without_classes_there_is_no_answer() -> None:
    targets, probabilities = LinearModel().fit([], []).top_k(["taxi", "!!!"], 3)
    assert targets.tolist() == [["", "", ""]] * 2
    assert probabilities.tolist() == [[0.0] * 3] * 2


def test_wordless_texts_teach_nothing() -> None:
    model = LinearModel().fit(["!!!", ""], ["a", "b"])
    assert model.top_k(["!!!"], 1)[0].tolist() == [[""]]


def test_a_single_class_is_offered_but_not_trusted() -> None:
    model = LinearModel().fit(["taxi", "pizza", "hotel"], ["a", "a", "a"])
    targets, probabilities = model.top_k(["taxi", "日本"], 2)
    assert targets.tolist() == [["a", ""], ["", ""]]
    assert probabilities.tolist() == [[pytest.approx(UNTESTED), 0.0], [0.0, 0.0]]


def test_two_classes_are_told_apart() -> None:
    model = LinearModel().fit(["city taxi", "taxi", "pizza hut", "pizza"], ["a", "a", "b", "b"])
    targets, probabilities = model.top_k(["royal taxi 5", "PIZZA!"], 2)
    assert targets.tolist() == [["a", "b"], ["b", "a"]]
    assert_probabilities_fall_and_add_up(probabilities)


def test_two_labels_of_one_key_are_untested() -> None:
    model = LinearModel().fit(["taxi 1", "taxi 2"], ["a", "b"])
    assert model.top_k(["taxi"], 1)[1].tolist() == [[pytest.approx(UNTESTED)]]


def test_five_texts_are_enough_to_answer() -> None:
    texts = ["taxi", "pizza", "hotel", "books", "coffee"]
    targets, probabilities = LinearModel().fit(texts, list("abcde")).top_k(texts, 5)
    assert targets[:, 0].tolist() == list("abcde")
    assert_probabilities_fall_and_add_up(probabilities)


def test_unseen_brands_of_many_classes_are_recognised(texts: pd.DataFrame) -> None:
    model = LinearModel().fit(texts["text"], texts["target"])
    targets, probabilities = model.top_k(["SUNSET HOTEL 9", "moon taxi", "rare books"], 4)
    assert targets[:, 0].tolist() == ["hotel", "taxi", "books"]
    assert (probabilities[:, 0] > 0.5).all()
    assert_probabilities_fall_and_add_up(probabilities)


def test_more_answers_than_classes_are_padded() -> None:
    targets, _ = LinearModel().fit(["taxi", "pizza"], ["a", "b"]).top_k(["taxi"], 4)
    assert targets.tolist() == [["a", "b", "", ""]]


def test_texts_are_scored_alike_in_one_chunk_or_many(
    texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LinearModel().fit(texts["text"], texts["target"])
    whole = model.top_k(texts["text"], 2)
    monkeypatch.setattr(linear, "CHUNK", 7)
    parts = model.top_k(texts["text"], 2)
    assert (whole[0] == parts[0]).all()
    np.testing.assert_allclose(whole[1], parts[1])


def test_of_too_many_keys_those_with_most_texts_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "MAX_PAIRS", 2)
    texts = ["xylophone", "city taxi 1", "city taxi 2", "corner books 1", "corner books 2"]
    model = LinearModel().fit(texts, ["music", "taxi", "taxi", "books", "books"])
    assert model.classes_.tolist() == ["books", "taxi"]


def test_weights_stay_within_their_number(
    texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "MAX_WEIGHTS", 400)
    model = LinearModel().fit(texts["text"], texts["target"])
    assert model.weights_.shape == (100, 4)


def test_codes_do_not_matter(texts: pd.DataFrame) -> None:
    model = LinearModel().fit(texts["text"], texts["target"])
    _, probabilities = model.top_k(["moon taxi 17", "MOON TAXI #4K2"], 2)
    assert probabilities[0].tolist() == probabilities[1].tolist()


def test_a_pair_of_key_and_target_counts_once_with_the_number_of_its_texts() -> None:
    pairs = distinct_pairs(["taxi 1", "taxi 2", "pizza", "!!!", "taxi 3"], list("aabca"))
    assert pairs.to_dict("list") == {
        "key": ["pizza", "taxi"],
        "target": ["b", "a"],
        "texts": [1, 3],
    }


def test_what_came_before_answers_what_came_after() -> None:
    keys = [f"{letter}{letter}" for letter in "abcdefghij"]
    pairs = distinct_pairs([*keys, "unplaced"], ["x"] * 11)
    first_seen = {key: place for place, key in enumerate(reversed(keys))}
    splits = later_keys(pairs, first_seen)
    assert len(splits) == 3
    for before, after in splits:
        times = [first_seen.get(str(key), 10) for key in pairs["key"]]
        assert max(times[place] for place in before) < min(times[place] for place in after)
    assert "unplaced" in pairs["key"].iloc[splits[-1][1]].tolist()
    assert later_keys(distinct_pairs(["one"], ["a"]), {"one": 0}) == []


def test_tested_in_time_it_answers_later_keys_only(texts: pd.DataFrame) -> None:
    brands = [
        f"{text} {place % 24:05b}".replace("0", "o").replace("1", "i")
        for place, text in enumerate(texts["text"])
    ]
    keys = dict.fromkeys(distinct_pairs(brands, texts["target"])["key"])
    first_seen = {key: place for place, key in enumerate(keys)}
    in_time = LinearModel().fit(brands, texts["target"], first_seen=first_seen).tested_
    anyhow = LinearModel().fit(brands, texts["target"]).tested_
    assert in_time is not None
    assert anyhow is not None
    assert set(anyhow.key) == set(keys)
    early = set(list(keys)[: int(0.4 * len(keys))])
    assert set(in_time.key) == set(keys) - early
    assert in_time.right.mean() > 0.8


def test_keys_that_all_came_at_once_are_untested(texts: pd.DataFrame) -> None:
    at_once = dict.fromkeys(distinct_pairs(texts["text"], texts["target"])["key"], 0)
    model = LinearModel().fit(texts["text"], texts["target"], first_seen=at_once)
    assert model.tested_ is None
    assert model.top_k(["moon taxi"], 1)[1].tolist() == [[pytest.approx(UNTESTED)]]


def test_parts_of_what_was_tested() -> None:
    nothing = linear.Tested.nothing(distinct_pairs(["taxi", "pizza"], ["a", "b"]))
    assert (nothing.key.tolist(), nothing.right.tolist()) == (["pizza", "taxi"], [False, False])
    assert nothing.part(np.array([1])).target.tolist() == ["a"]


def test_shares_of_margins_fall_and_leave_room() -> None:
    margins = np.array([[1.0, 0.9, -np.inf], [-np.inf, -np.inf, -np.inf]])
    assert tops(margins).tolist() == [[1.0, pytest.approx(0.1)], [0.0, 0.0]]
    found = shares(margins, np.array([0.6, 0.6]))
    assert found.tolist() == [[0.6, pytest.approx(0.4), 0.0], [0.0, 0.0, 0.0]]
    assert shares(margins[:, :1], np.array([0.6, 0.6])).tolist() == [[0.6], [0.0]]
