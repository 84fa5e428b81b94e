import numpy as np
import pandas as pd
import pytest

from llm_pipeline.model import linear
from llm_pipeline.model.linear import UNTESTED, LinearModel


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
    assert probabilities.tolist() == [[UNTESTED, 0.0], [0.0, 0.0]]


def test_two_classes_are_told_apart() -> None:
    model = LinearModel().fit(["city taxi", "taxi", "pizza hut", "pizza"], ["a", "a", "b", "b"])
    targets, probabilities = model.top_k(["royal taxi 5", "PIZZA!"], 2)
    assert targets.tolist() == [["a", "b"], ["b", "a"]]
    assert_probabilities_fall_and_add_up(probabilities)


def test_two_labels_of_one_key_are_untested() -> None:
    model = LinearModel().fit(["taxi 1", "taxi 2"], ["a", "b"])
    assert model.top_k(["taxi"], 1)[1].tolist() == [[UNTESTED]]


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


def test_ngrams_of_one_key_only_are_dropped_from_large_training_sets(
    texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, targets = [*texts["text"], "xylophone"], [*texts["target"], "music"]
    every = LinearModel().fit(names, targets)
    monkeypatch.setattr(linear, "PRUNE_FROM", 10)
    shared = LinearModel().fit(names, targets)
    assert 0 < len(shared.weights_) < len(every.weights_)
    assert shared.top_k(["moon taxi"], 1)[0].tolist() == [["taxi"]]


def test_texts_without_a_common_ngram_are_not_pruned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "PRUNE_FROM", 2)
    assert LinearModel().fit(["東", "京"], ["a", "b"]).top_k(["京"], 1)[0].tolist() == [["b"]]


def test_codes_do_not_matter(texts: pd.DataFrame) -> None:
    model = LinearModel().fit(texts["text"], texts["target"])
    _, probabilities = model.top_k(["moon taxi 17", "MOON TAXI #4K2"], 2)
    assert probabilities[0].tolist() == probabilities[1].tolist()
