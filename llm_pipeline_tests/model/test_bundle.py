import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer

ASKED = ["moon taxi", "CITY TAXI aaa #9", "lake hotel", "東京", "🍕", "!!!", "coffee books"]


def test_a_loaded_recogniser_gives_the_answers_of_the_saved_one(
    fitted: Recognizer, texts: pd.DataFrame, tmp_path: Path
) -> None:
    fitted.learn("🍕 मोमो", "food")
    bundle.save(fitted, tmp_path)
    loaded = bundle.load(tmp_path)
    asked = [*ASKED, *texts["text"]]
    assert loaded.recognize(asked) == fitted.recognize(asked)
    assert loaded.recognize(asked, use_memory=False) == fitted.recognize(asked, use_memory=False)
    assert loaded.get_params() == fitted.get_params()
    assert loaded.memory_ == fitted.memory_
    fitted.forget("🍕 मोमो")


@pytest.mark.parametrize(
    ("texts", "targets"), [([], []), (["taxi"], ["a"]), (list("ab"), ["a"] * 2)]
)
def test_recognisers_that_know_next_to_nothing_survive(
    texts: list[str], targets: list[str], tmp_path: Path
) -> None:
    recognizer = Recognizer(min_probability=0.05).fit(texts, targets)
    bundle.save(recognizer, tmp_path)
    assert bundle.load(tmp_path).recognize(["taxi", "a"]) == recognizer.recognize(["taxi", "a"])


def test_a_loaded_recogniser_goes_on_learning(fitted: Recognizer, tmp_path: Path) -> None:
    bundle.save(fitted, tmp_path)
    loaded = bundle.load(tmp_path)
    loaded.learn("moon taxi 1", "moon")
    assert loaded.predict(["moon taxi 2"]).tolist() == ["moon"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def fill_with_noise(path: Path) -> None:
    path.write_bytes(b"\x80\x04 not a model")


@pytest.mark.parametrize("name", [bundle.ARRAYS, bundle.DESCRIPTION])
@pytest.mark.parametrize("damage", [Path.unlink, cut, fill_with_noise])
def test_a_missing_or_damaged_file_is_named(
    fitted: Recognizer, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    bundle.save(fitted, tmp_path)
    damage(tmp_path / name)
    with pytest.raises(ModelUnavailable, match=name):
        bundle.load(tmp_path)


def test_a_flipped_byte_in_the_arrays_is_noticed(fitted: Recognizer, tmp_path: Path) -> None:
    bundle.save(fitted, tmp_path)
    garble(tmp_path / bundle.ARRAYS)
    with pytest.raises(ModelUnavailable, match=bundle.ARRAYS):
        bundle.load(tmp_path)


def test_nothing_is_unpickled(fitted: Recognizer, tmp_path: Path) -> None:
    bundle.save(fitted, tmp_path)
    hostile = np.array([{"any": "object"}], dtype=object)
    np.savez(tmp_path / bundle.ARRAYS, weights=hostile, intercept=hostile, idf=hostile)
    with pytest.raises(ModelUnavailable, match=bundle.ARRAYS):
        bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("format", 99, "not of format 1"),
        ("classes", ["a"], "do not fit together"),
        ("terms", [1, 2], "do not fit together"),
        ("memory", None, "do not fit together"),
        ("calibration", [1.0], "do not fit together"),
        ("calibration", ["a", "b", "c"], "do not fit together"),
        ("memory_probability", {"exact": "high"}, "do not fit together"),
        ("params", {}, "do not fit together"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    fitted: Recognizer, tmp_path: Path, field: str, value: object, told: str
) -> None:
    bundle.save(fitted, tmp_path)
    path = tmp_path / bundle.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ModelUnavailable, match=told):
        bundle.load(tmp_path)
