"""Columns beside the text: kept where they decide, dropped where they are noise."""

from pathlib import Path

import numpy as np
import pytest

from llm_pipeline.domain.extra import Extra
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model import bundle, extra
from llm_pipeline.model.extra import ExtraTest, Vocabulary
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline_tests.factories import shops

Rows = tuple[list[str], list[str], list[Extra | None]]


def told_shops(rows: int, seed: int, *, decides: bool) -> Rows:
    texts, targets, columns = zip(*shops(rows, seed, decides=decides), strict=True)
    return list(texts), list(targets), [{"gl_desc": column} for column in columns]


def share_right(recognizer: Recognizer, rows: Rows, *, told: bool) -> float:
    texts, targets, said = rows
    answers = recognizer.recognize(texts, 1, use_memory=False, extra=said if told else None)
    best = [answer.candidates[0].target if answer.candidates else "" for answer in answers]
    return float(np.mean(np.array(best) == np.array(targets)))


@pytest.fixture(scope="module")
def decided() -> Recognizer:
    texts, targets, said = told_shops(400, 0, decides=True)
    return Recognizer().fit(texts, targets, extra=said)


@pytest.fixture(scope="module")
def by_lot() -> Recognizer:
    texts, targets, said = told_shops(400, 0, decides=False)
    return Recognizer().fit(texts, targets, extra=said)


def test_a_column_that_decides_is_kept_and_raises_accuracy(decided: Recognizer) -> None:
    asked = told_shops(200, 1, decides=True)
    test = decided.extra_test_
    assert decided.extra_used_
    assert test is not None
    assert test.only_with > 100 > 60 > test.only_without
    assert test.p < 1e-9
    assert share_right(decided, asked, told=False) < 0.65
    assert share_right(decided, asked, told=True) > 0.8


def test_a_column_drawn_by_lot_is_dropped(by_lot: Recognizer) -> None:
    texts, _, said = told_shops(50, 2, decides=False)
    assert not by_lot.extra_used_
    assert by_lot.extra_test_ is not None
    assert by_lot.extra_test_.p > extra.SIGNIFICANT
    assert by_lot.recognize(texts, extra=said) == by_lot.recognize(texts)


def test_columns_that_say_nothing_known_change_nothing(decided: Recognizer) -> None:
    asked = told_shops(50, 3, decides=True)[0]
    nothing: list[Extra | None] = [None, {}, {"gl_desc": None}, {"color": "red"}, {"gl_desc": "?"}]
    said = nothing * 10
    assert decided.recognize(asked, extra=said) == decided.recognize(asked)
    assert Recognizer().fit(["a", "b"], ["a", "b"], extra=[None, {}]).extra_test_ is None


def test_a_text_asked_with_different_columns_is_answered_apart(decided: Recognizer) -> None:
    said: list[Extra | None] = [{"gl_desc": word} for word in ("parts all", "meals", "Parts, all")]
    answers = decided.recognize(["harbor moltin"] * 3, extra=said)
    assert [answer.target for answer in answers] == ["AMZN", "SBUX", "AMZN"]
    assert [answer.text for answer in answers] == ["harbor moltin"] * 3


def test_memory_goes_before_columns(decided: Recognizer) -> None:
    texts, targets, _ = told_shops(400, 0, decides=True)
    other: Extra = {"gl_desc": "meals" if targets[0] == "AMZN" else "parts all"}
    (answer,) = decided.recognize([texts[0]], extra=[other])
    assert (answer.target, answer.candidates[0].evidence) == (targets[0], "exact")


def test_columns_alone_answer_nothing(decided: Recognizer) -> None:
    (answer,) = decided.recognize(["!!!"], extra=[{"gl_desc": "parts all"}])
    assert answer.candidates == ()


def test_every_way_of_answering_sees_the_columns(decided: Recognizer) -> None:
    asked = told_shops(100, 4, decides=True)
    right = {way: share_right(one, asked, told=True) for way, one in decided.variants().items()}
    assert decided.serves_ == "stacked"
    assert min(right["linear"], right["stacked"]) > 0.8
    assert right["retrieval"] < 0.7


def test_a_saved_recogniser_keeps_its_columns(decided: Recognizer, tmp_path: Path) -> None:
    bundle.save(decided, tmp_path)
    loaded = bundle.load(tmp_path)
    texts, _, said = told_shops(60, 5, decides=True)
    assert loaded.extra_used_
    assert loaded.recognize(texts, extra=said) == decided.recognize(texts, extra=said)
    assert loaded.recognize(texts) == decided.recognize(texts)


def test_a_recogniser_without_columns_is_saved_as_before(
    by_lot: Recognizer, tmp_path: Path
) -> None:
    bundle.save(by_lot, tmp_path)
    description = (tmp_path / bundle.DESCRIPTION).read_text()
    assert '"extra"' not in description
    assert '"tokens"' not in description
    assert not bundle.load(tmp_path).extra_used_


def test_there_is_one_mapping_for_each_text(decided: Recognizer) -> None:
    with pytest.raises(InvalidInput, match="1 values of `extra` for 2 texts"):
        decided.recognize(["a", "b"], extra=[None])
    with pytest.raises(InvalidInput, match="1 values of `extra` for 2 texts"):
        Recognizer().fit(["a", "b"], ["a", "b"], extra=[None])


def test_only_values_of_several_pairs_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [("a=1", "b=1"), ("a=1", "c=1"), ("b=1",), ("b=1",)]
    assert list(Vocabulary.of(told).tokens) == ["b=1", "a=1"]
    monkeypatch.setattr(extra, "MAX_TOKENS", 1)
    assert list(Vocabulary.of(told).tokens) == ["b=1"]


def test_columns_help_only_beyond_chance() -> None:
    right, wrong = np.ones(20, dtype=bool), np.zeros(20, dtype=bool)
    four, five = (np.arange(20) < n for n in (4, 5))
    assert ExtraTest.of(right, wrong).helps
    assert not ExtraTest.of(right, right).helps
    assert not ExtraTest.of(wrong, right).helps
    assert (ExtraTest.of(four, wrong).p, ExtraTest.of(four, wrong).helps) == (1 / 16, False)
    assert (ExtraTest.of(five, wrong).p, ExtraTest.of(five, wrong).helps) == (1 / 32, True)
