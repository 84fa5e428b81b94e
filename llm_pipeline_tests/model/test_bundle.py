import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from llm_pipeline.domain.records import Target
from llm_pipeline.errors import ModelOutdated, ModelUnavailable
from llm_pipeline.model import archive, bundle
from llm_pipeline.model.recognizer import Recognizer

ASKED = ["moon taxi", "CITY TAXI aaa #9", "lake hotel", "東京", "🍕", "!!!", "coffee books", "spas"]
CATALOGUE = [
    Target("spa", "Lake Spa"),
    Target("inn", "Lake Spa", attributes={"aliases": "Old Inn|चाय"}),
    Target("books", "Books Inc"),
]


@pytest.fixture(scope="module")
def whole(texts: pd.DataFrame) -> Recognizer:
    """Return one with weights, approved texts and names; shared by tests that only read it."""
    fitted = Recognizer(min_probability=0.3, n_jobs=2)
    return fitted.fit(texts["text"], texts["target"], history=texts, catalogue=CATALOGUE)


@pytest.fixture
def saved(whole: Recognizer, tmp_path: Path) -> Path:
    bundle.save(whole, tmp_path)
    return tmp_path


def describe(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a changed description."""
    path = folder / bundle.DESCRIPTION
    description = json.loads(path.read_text())
    change(description)
    path.write_text(json.dumps(description))


def replace_arrays(folder: Path, **changed: npt.NDArray[Any]) -> None:
    """Write changed arrays with the checksum that fits them, as a forger would."""
    arrays = dict(archive.read(folder / bundle.ARRAYS, checksum(folder)))
    digest = archive.write(folder / bundle.ARRAYS, arrays | changed)
    describe(folder, lambda description: description.update(sha256=digest))


def checksum(folder: Path) -> str:
    return str(json.loads((folder / bundle.DESCRIPTION).read_text())["sha256"])


def test_a_loaded_recogniser_gives_the_answers_of_the_saved_one(
    whole: Recognizer, texts: pd.DataFrame, tmp_path: Path
) -> None:
    whole.learn("🍕 मोमो", "food")
    bundle.save(whole, tmp_path)
    loaded = bundle.load(tmp_path)
    asked = [*ASKED, *texts["text"]]
    for way, variant in whole.variants().items():
        twin = loaded.variants()[way]
        assert twin.recognize(asked, explain=True) == variant.recognize(asked, explain=True)
        assert twin.recognize(asked, use_memory=False) == variant.recognize(asked, use_memory=False)
    assert loaded.get_params() == whole.get_params()
    assert loaded.memory_ == whole.memory_
    assert (loaded.serves_, loaded.classes_.tolist()) == (whole.serves_, whole.classes_.tolist())
    whole.forget("🍕 मोमो")


def test_what_was_learned_renamed_and_forgotten_since_the_fit_is_saved(
    texts: pd.DataFrame, tmp_path: Path
) -> None:
    recognizer = Recognizer().fit(texts["text"], texts["target"], catalogue=CATALOGUE)
    recognizer.learn("quartz lantern 7", "lamp")
    recognizer.learn("\ud83d half a pair 7", "half")
    recognizer.forget(texts["text"][0])
    recognizer.learn_names([Target("whale", "Blue Whale")])
    recognizer.retire("spa")
    bundle.save(recognizer, tmp_path)
    asked = ["quartz lanterns", "half a pair", texts["text"][0], "blue whales", "lake spas"]
    assert bundle.load(tmp_path).recognize(asked) == recognizer.recognize(asked)


def test_texts_learned_since_the_fit_stay_the_newer_ones(whole: Recognizer, tmp_path: Path) -> None:
    bundle.save(whole, tmp_path)
    recognizer = bundle.load(tmp_path)
    recognizer.forget("CITY TAXI aaa")
    recognizer.learn("quartz lantern", "taxi")
    bundle.save(recognizer, tmp_path)
    loaded = bundle.load(tmp_path)
    assert loaded.stacking_.taught == len(loaded.approved_.keys) - 1
    asked = ["quartz lanterns", *ASKED]
    assert loaded.recognize(asked, explain=True) == recognizer.recognize(asked, explain=True)


@pytest.mark.parametrize(
    ("texts", "targets"), [([], []), (["taxi"], ["a"]), (list("ab"), ["a"] * 2)]
)
def test_recognisers_that_know_next_to_nothing_survive(
    texts: list[str], targets: list[str], tmp_path: Path
) -> None:
    recognizer = Recognizer(min_probability=0.05).fit(texts, targets)
    bundle.save(recognizer, tmp_path)
    assert bundle.load(tmp_path).recognize(["taxi", "a"]) == recognizer.recognize(["taxi", "a"])


def test_a_loaded_recogniser_goes_on_learning(saved: Path) -> None:
    loaded = bundle.load(saved)
    loaded.learn("moon taxi 1", "moon")
    loaded.learn_names([Target("lamp", "Quartz Lantern")])
    assert loaded.predict(["moon taxi 2", "quartz lanterns"]).tolist() == ["moon", "lamp"]
    loaded.forget("moon taxi 1")
    assert loaded.predict(["moon taxi 2"]).tolist() == ["taxi"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def fill_with_noise(path: Path) -> None:
    path.write_bytes(b"\x80\x04 not a model")


def nest(path: Path) -> None:
    path.write_text("[" * 200_000)


@pytest.mark.parametrize("name", [bundle.ARRAYS, bundle.DESCRIPTION])
@pytest.mark.parametrize("damage", [Path.unlink, cut, fill_with_noise, nest])
def test_a_missing_or_damaged_file_is_named(
    saved: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(saved / name)
    with pytest.raises(ModelUnavailable, match=name):
        bundle.load(saved)


def test_a_flipped_byte_in_the_arrays_is_noticed(saved: Path) -> None:
    content = bytearray((saved / bundle.ARRAYS).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (saved / bundle.ARRAYS).write_bytes(bytes(content))
    with pytest.raises(ModelUnavailable, match="checksum is not the one saved with it"):
        bundle.load(saved)


def test_arrays_of_another_model_are_refused(saved: Path, tmp_path: Path) -> None:
    bundle.save(Recognizer.empty(), tmp_path / "other")
    (tmp_path / "other" / bundle.ARRAYS).replace(saved / bundle.ARRAYS)
    with pytest.raises(ModelUnavailable, match="checksum"):
        bundle.load(saved)
    describe(saved, lambda d: d.update(sha256=archive.write(saved / bundle.ARRAYS, {})))
    with pytest.raises(ModelUnavailable, match="do not fit together"):
        bundle.load(saved)


def test_nothing_is_unpickled(saved: Path) -> None:
    hostile = np.array([{"any": "object"}], dtype=object)
    np.savez(saved / bundle.ARRAYS, weights=hostile)
    digest = archive._digest(saved / bundle.ARRAYS)
    describe(saved, lambda description: description.update(sha256=digest))
    with pytest.raises(ModelUnavailable, match="Object arrays cannot be loaded"):
        bundle.load(saved)


def test_a_file_that_claims_to_unpack_to_something_huge_is_not_read(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with pytest.raises(ModelUnavailable, match=r"it unpacks to [0-9,]+ bytes"):
        bundle.load(saved)


def test_a_compressed_file_is_not_read(saved: Path) -> None:
    with zipfile.ZipFile(saved / bundle.ARRAYS, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("weights.npy", bytes(1_000_000))
    with pytest.raises(ModelUnavailable, match="it is compressed"):
        bundle.load(saved)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr':'<f4','fortran_order':False,'shape':(1000000000000000,)}",
        "{'descr':'<f4','fortran_order':False,'shape':(99999999999999999999,)}",
        "{'descr':'<f4','fortran_order':False,'shape':(-5,)}",
        "((((",
        "'''",
    ],
)
def test_an_array_whose_header_is_made_to_harm_is_refused(saved: Path, header: str) -> None:
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"12345678"
    with zipfile.ZipFile(saved / bundle.ARRAYS, "w") as packed:
        packed.writestr("weights.npy", npy)
    digest = archive._digest(saved / bundle.ARRAYS)
    describe(saved, lambda description: description.update(sha256=digest))
    with pytest.raises(ModelUnavailable, match=bundle.ARRAYS):
        bundle.load(saved)


@pytest.mark.parametrize("found", [{"format": 1}, {"format": 99}, [], {}])
def test_another_format_is_told_apart_from_damage(saved: Path, found: object) -> None:
    (saved / bundle.DESCRIPTION).write_text(json.dumps(found))
    with pytest.raises(ModelOutdated, match="not of format"):
        bundle.load(saved)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("classes", "books"),
        ("classes", [1]),
        ("linear_classes", ["a"]),
        ("serves", "magic"),
        ("serves", ["linear"]),
        ("taught", "all"),
        ("C", None),
        ("params", {}),
        ("params", {"ngram_range": [2, 3]}),
        ("params.min_probability", "high"),
        ("params.n_jobs", 1_000_000),
        ("params.n_jobs", 1.5),
        ("calibration", {}),
        ("calibration.linear", [1.0]),
        ("calibration.stacked", [1.0, 2.0]),
        ("calibration.exact", ["a", "b", "c", "d", "e"]),
        ("calibration.key", [float("nan"), 0.0, 0.0]),
        ("memory", None),
        ("memory.targets", []),
        ("memory.targets", [1, 2, 3, 4]),
        ("memory.texts", ["taxi"]),
        ("memory.target", [-1] * 120),
        ("memory.target", [10**9] * 120),
        ("memory.seen", ["a"] * 120),
        ("memory.keys", ["a"]),
        ("memory.key_text", []),
        ("names", {}),
        ("names.texts", ["Lake Spa"]),
        ("names.holders", [[1], ["a"], ["b"], ["c"]]),
        ("names.holders", "abcd"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(saved: Path, place: str, value: object) -> None:
    def change(description: dict[str, Any]) -> None:
        *above, name = place.split(".")
        for step in above:
            description = description[step]
        description[name] = value

    describe(saved, change)
    with pytest.raises(ModelUnavailable, match="do not fit together"):
        bundle.load(saved)


ARRAYS = (
    *("weights", "intercept", "linear_columns", "linear_idf", "ngrams_columns", "ngrams_idf"),
    *("approved_data", "approved_indices", "approved_pointers"),
    *("names_data", "names_indices", "names_pointers"),
)


def beyond(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers out of every range: infinity for weights, 2 billion for places."""
    return np.full_like(array, np.inf if array.dtype.kind == "f" else 2_000_000_000)


def below(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.full_like(array, np.nan if array.dtype.kind == "f" else -7)


def cut_off(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array[:-1]


def spelled(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.astype("U8")


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("forged", [beyond, below, cut_off, spelled])
def test_forged_arrays_are_refused(
    saved: Path, name: str, forged: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
) -> None:
    array = archive.read(saved / bundle.ARRAYS, checksum(saved))[name]
    replace_arrays(saved, **{name: forged(array)})
    with pytest.raises(ModelUnavailable, match="do not fit together"):
        bundle.load(saved)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("weights", "intercept"),
        ("linear_columns", "ngrams_columns"),
        ("approved_data", "names_data"),
        ("approved_pointers", "names_pointers"),
        ("approved_indices", "approved_data"),
    ],
)
def test_swapped_arrays_are_refused(saved: Path, one: str, other: str) -> None:
    arrays = archive.read(saved / bundle.ARRAYS, checksum(saved))
    replace_arrays(saved, **{one: arrays[other], other: arrays[one]})
    with pytest.raises(ModelUnavailable, match="do not fit together"):
        bundle.load(saved)
