"""Slices, targets and wrong answers of streams made by hand."""

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llm_pipeline.domain.records import Target
from llm_pipeline.model.breakdown import (
    by_target,
    confusions,
    dimensions,
    effective_rows,
    script,
    slices,
    surest_wrong,
)

CATALOGUE = [Target("a", "Apples", "fruit"), Target("b", "Beans")]


def answered(lines: list[tuple[str, str, str, float]]) -> pd.DataFrame:
    """A stream of text, target, answer and probability: every text new, one a day."""
    table = pd.DataFrame(lines, columns=["text", "target", "predicted", "probability"])
    table = table.astype({"text": object, "target": object, "predicted": object})
    days = pd.date_range(datetime(2026, 1, 1, tzinfo=UTC), periods=len(table))
    return table.assign(
        normalized=table["text"],
        key=table["text"],
        memory="none",
        evidence="model",
        learned=range(len(table)),
        correct=table["target"] == table["predicted"],
        at=days,
    )


def half_bad(number: int = 60) -> pd.DataFrame:
    """Latin texts all right, others all wrong."""
    right = [(f"apple {chr(97 + n % 26)}{n}", "a", "a", 0.9) for n in range(number)]
    wrong = [(f"яблоко {n}", "a", "b", 0.9) for n in range(number)]
    return answered([*right, *wrong])


def _of(found: pd.DataFrame, dimension: str) -> dict[str, dict[str, Any]]:
    of = found[found["dimension"] == dimension]
    return {
        str(line["slice"]): {str(name): value for name, value in line.items()}
        for line in of.to_dict("records")
    }


def test_a_bad_slice_is_flagged_and_comes_first() -> None:
    found = slices(half_bad(), CATALOGUE)
    by_script = _of(found, "script")
    assert by_script["not only Latin"]["weak"]
    assert not by_script["Latin"]["weak"]
    assert (by_script["Latin"]["accuracy"], by_script["not only Latin"]["accuracy"]) == (1.0, 0.0)
    assert by_script["not only Latin"]["ece"] == pytest.approx(0.9)
    assert by_script["Latin"]["new_rows"] == 60
    assert found["weak"].tolist() == sorted(found["weak"], reverse=True)


def test_few_rows_or_rows_of_one_key_are_no_proof() -> None:
    assert not slices(half_bad(2), CATALOGUE)["weak"].any()
    of_one = half_bad()
    of_one.loc[60:, "key"] = "яблоко"
    assert not _of(slices(of_one, CATALOGUE), "script")["not only Latin"]["weak"]


def test_a_slice_of_all_rows_has_nothing_to_be_weaker_than() -> None:
    found = _of(slices(half_bad(), CATALOGUE), "category")
    assert list(found) == ["fruit"]
    assert (found["fruit"]["rows"], found["fruit"]["weak"]) == (120, False)


def test_rows_are_sliced_by_what_matters() -> None:
    stream = answered([("taxi 7", "a", "a", 1.0), ("x" * 51, "b", "b", 1.0), ("24", "c", "", 0.0)])
    stream["learned"], stream["at"] = [0, 9, 10], [stream["at"][0], stream["at"][0], pd.NaT]
    found = {name: values.tolist() for name, values in dimensions(stream, CATALOGUE).items()}
    assert found == {
        "category": ["fruit", "none", "none"],
        "length": ["1-10", "over 50", "1-10"],
        "evidence": ["model"] * 3,
        "script": ["Latin", "Latin", "no letters"],
        "examples": ["name only", "few (1-9)", "many (10 or more)"],
        "month": ["2026-01", "2026-01", "none"],
    }
    assert "month" not in dimensions(stream.drop(columns="at"), CATALOGUE)


@pytest.mark.parametrize(
    ("text", "letters"),
    [("café", "Latin"), ("łódź", "Latin"), ("кафе", "not only Latin"), ("🍕", "no letters")],
)
def test_letters_with_marks_are_latin_too(text: str, letters: str) -> None:
    assert script(text) == letters


@pytest.mark.parametrize(
    ("correct", "keys", "rows"),
    [
        ([1, 1, 1], [0, 1, 2], 3.0),  # all alike: as many as there are keys
        ([0] * 9, [0] * 9, 1.0),
        ([1, 0], [0, 0], 1.0),  # one key cannot tell
        ([1, 1, 0, 0], [0, 0, 1, 1], 2.0),  # a key is right or wrong as a whole
        ([1, 0, 1, 0], [0, 0, 1, 1], 4.0),  # keys tell nothing
        ([1, 1, 0, 0], [0, 1, 2, 3], 4.0),  # a key each
        ([], [], 0.0),
    ],
)
def test_rows_count_as_much_as_their_keys_let_them(
    correct: list[int], keys: list[int], rows: float
) -> None:
    found = effective_rows(np.array(correct, dtype=bool), np.array(keys, dtype=np.intp))
    assert found == pytest.approx(rows)


def test_targets_come_with_precision_and_recall_the_worst_first() -> None:
    lines = [("t1", "a", "a", 0.9), ("t2", "a", "b", 0.9), ("t3", "b", "b", 0.9)]
    never = [(f"n{n}", "c", "", 0.0) for n in range(5)]
    table = by_target(answered([*lines, *never, ("o", "d", "a", 0.1)]), CATALOGUE)
    assert table["target"].tolist() == ["c", "d", "a", "b"]
    assert table.set_index("target").to_dict("index") == {
        "c": {"name": "", "support": 5, "answered": 0, "right": 0, "precision": 0, "recall": 0},
        "d": {"name": "", "support": 1, "answered": 0, "right": 0, "precision": 0, "recall": 0},
        "a": {
            "name": "Apples", "support": 2, "answered": 2, "right": 1,
            "precision": 0.5, "recall": 0.5,
        },
        "b": {
            "name": "Beans", "support": 1, "answered": 2, "right": 1,
            "precision": 0.5, "recall": 1.0,
        },
    }  # fmt: skip


def test_confusions_tell_what_is_taken_for_what() -> None:
    right = [(f"r{n}", "a", "a", 1.0) for n in range(6)]
    taken = [("t1", "a", "b", 0.4), ("t2", "a", "b", 0.8), ("t3", "b", "a", 0.9)]
    table = confusions(answered([*right, *taken, ("unknown", "b", "", 0.0)]))
    assert table.to_dict("records") == [
        {
            "target": "a", "predicted": "b", "rows": 2, "share": 0.25,
            "probability": pytest.approx(0.6), "example": "t2",
        },
        {
            "target": "b", "predicted": "a", "rows": 1, "share": 0.5,
            "probability": pytest.approx(0.9), "example": "t3",
        },
    ]  # fmt: skip
    assert confusions(answered(right)).empty
    assert len(confusions(answered(taken), limit=1)) == 1


def test_the_surest_wrong_answers_are_told_once() -> None:
    lines = [("x", "a", "b", 0.4), ("y", "a", "b", 0.8), ("x", "a", "b", 0.5), ("z", "a", "a", 1.0)]
    found = surest_wrong(answered(lines))
    assert list(zip(found["text"], found["probability"], strict=True)) == [("y", 0.8), ("x", 0.5)]
    assert len(surest_wrong(answered(lines), limit=1)) == 1


def test_an_empty_stream_has_no_slices_and_no_targets() -> None:
    empty = answered([])
    assert slices(empty, CATALOGUE).empty
    assert by_target(empty, CATALOGUE).empty
    assert surest_wrong(empty).empty
    assert confusions(empty).empty


def test_tables_can_be_written_as_json() -> None:
    stream = half_bad()
    for table in (slices(stream, CATALOGUE), by_target(stream, CATALOGUE), surest_wrong(stream)):
        assert json.loads(json.dumps(table.to_dict("records")))
