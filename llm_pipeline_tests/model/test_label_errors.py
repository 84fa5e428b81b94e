"""Wrong labels among hand-made merchants, and what is said of them."""

import numpy as np
import pandas as pd
import pytest

from llm_pipeline.domain.records import Target
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model import label_errors
from llm_pipeline.model.label_errors import Doubt, LabelErrors
from llm_pipeline.model.recognizer import Recognizer

WRONG = {7: "hotel", 50: "books", 101: "coffee"}


@pytest.fixture(scope="module")
def doubted(texts: pd.DataFrame) -> list[Doubt]:
    targets = texts["target"].to_numpy(object).copy()
    targets[list(WRONG)] = list(WRONG.values())
    return LabelErrors(folds=3).fit(texts["text"], targets).doubts(min_score=0)


def test_injected_errors_come_first_with_the_target_they_had(
    texts: pd.DataFrame, doubted: list[Doubt]
) -> None:
    first = doubted[: len(WRONG)]
    assert {doubt.position: doubt.given for doubt in first} == WRONG
    assert [doubt.suggested for doubt in first] == texts["target"][
        [doubt.position for doubt in first]
    ].tolist()
    assert [doubt.score for doubt in doubted] == sorted((d.score for d in doubted), reverse=True)


def test_a_doubt_gives_its_reason_and_texts_that_speak_for_it(doubted: list[Doubt]) -> None:
    found = next(doubt for doubt in doubted if doubt.position == 50)
    assert "10 nearest texts are hotel" in found.reason
    assert "; a model that never saw it says hotel with 0." in found.reason
    assert len(found.examples) == label_errors.EXAMPLES
    assert {example.target for example in found.examples} == {"hotel"}
    assert all("HOTEL" in example.text for example in found.examples)


def test_texts_that_differ_only_by_codes_outvote_one_label() -> None:
    texts = [f"{shop} {n}" for n in range(8) for shop in ("CITY TAXI", "CORNER PIZZA")]
    targets = ["taxi", "food"] * 8
    targets[4] = "food"
    (found,) = LabelErrors().fit(texts, targets).doubts(limit=1, min_score=0)
    assert (found.position, found.given, found.suggested) == (4, "food", "taxi")
    assert found.reason.startswith("7 of 7 texts that differ only by codes are taxi; ")
    assert [example.text for example in found.examples] == [f"CITY TAXI {n}" for n in (0, 1, 3)]


def test_one_other_text_and_no_model_are_too_little_to_doubt_a_label() -> None:
    errors = LabelErrors().fit(["CITY TAXI 1", "CITY TAXI 2"], ["taxi", "food"])
    assert errors.suggested_.tolist() == ["food", "taxi"]
    assert errors.model_.nnz == 0
    assert errors.doubts(min_score=0)[0].reason.startswith("1 of 1 texts that differ only")


def test_a_single_target_is_never_doubted() -> None:
    errors = LabelErrors().fit(["CITY TAXI", "AIRPORT CAB", "LIMO"], ["taxi"] * 3)
    assert errors.suggested_.tolist() == ["", "", ""]
    assert errors.doubts(min_score=0) == []


def test_no_opinion_has_seen_the_label_it_judges(texts: pd.DataFrame) -> None:
    right = LabelErrors(folds=3).fit(texts["text"], texts["target"])
    targets = texts["target"].to_numpy(object).copy()
    targets[7] = WRONG[7]
    wrong = LabelErrors(folds=3).fit(texts["text"], targets)
    for opinion in ("model_", "key_", "nearest_"):
        before, after = getattr(right, opinion)[[7]], getattr(wrong, opinion)[[7]]
        assert np.allclose(before.toarray(), after.toarray()), opinion


def test_only_the_most_doubted_texts_look_up_their_nearest(
    texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(label_errors, "MOST_NEIGHBOURED", 5)
    errors = LabelErrors(folds=2).fit(texts["text"], texts["target"])
    assert np.unique(errors.neighbors_.nonzero()[0]).size == 5


def test_a_given_recogniser_and_the_catalogue_are_used(texts: pd.DataFrame) -> None:
    given = Recognizer(C=1.0)
    catalogue = [Target("spa", "Lake Spa")]
    errors = LabelErrors(given, folds=2).fit(texts["text"], texts["target"], catalogue=catalogue)
    assert "spa" in errors.classes_
    assert not hasattr(given, "memory_")


@pytest.mark.parametrize(("texts", "targets"), [(["a", "b"], ["x"]), ([], [])])
def test_columns_that_do_not_match_are_refused(texts: list[str], targets: list[str]) -> None:
    with pytest.raises(InvalidInput, match="give at least one text and one target per text"):
        LabelErrors().fit(texts, targets)
