"""A recogniser as two plain files: `arrays.npz` and `recognizer.json`; nothing is unpickled.

The weights are float16, which holds them exactly (see `LinearModel.weights_`): a loaded recogniser
gives the answers of the saved one.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from llm_pipeline.errors import ModelUnavailable
from llm_pipeline.model.linear import LinearModel, restore_vectorizer
from llm_pipeline.model.memory import Entry, Memory
from llm_pipeline.model.recognizer import PRIOR_SHARE, Recognizer

FORMAT = 1  # raise it when normalize() or group_key() change: normalised texts are stored
ARRAYS = "arrays.npz"
DESCRIPTION = "recognizer.json"


def save(recognizer: Recognizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    linear = recognizer.linear_
    np.savez_compressed(
        folder / ARRAYS,
        weights=linear.weights_.astype(np.float16),
        intercept=linear.intercept_,
        idf=linear.vectorizer_.idf_ if linear.vectorizer_ else np.zeros(0, np.float32),
    )
    description = json.dumps(_described(recognizer), ensure_ascii=False, separators=(",", ":"))
    (folder / DESCRIPTION).write_text(description, encoding="utf-8")


def load(folder: Path) -> Recognizer:
    """Read what `save` wrote; a missing or damaged file raises `ModelUnavailable`."""
    description = _read_description(folder / DESCRIPTION)
    arrays = _read_arrays(folder / ARRAYS)
    try:
        return _rebuilt(description, arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelUnavailable(
            f"the files of the saved model in {folder} do not fit together ({error!r}); "
            "roll back to another version, or train a new one"
        ) from error


def _described(recognizer: Recognizer) -> dict[str, Any]:
    linear = recognizer.linear_
    entries = recognizer.memory_.entries()
    targets = {entry.target: None for _, entry in entries}
    places = {target: place for place, target in enumerate(targets)}
    return {
        "format": FORMAT,
        "params": recognizer.get_params(),
        "classes": linear.classes_.tolist(),
        "calibration": linear.calibration_,
        "terms": linear.vectorizer_.get_feature_names_out().tolist() if linear.vectorizer_ else [],
        "memory_probability": recognizer.memory_probability_,
        "memory": {
            "targets": list(targets),
            "normalized": [normalized for normalized, _ in entries],
            "texts": [entry.text for _, entry in entries],
            "target": [places[entry.target] for _, entry in entries],
        },
    }


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelUnavailable(
            f"{path} is not of format {FORMAT}, the one this version reads; train a new model"
        )
    return description


def _read_arrays(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in ("weights", "intercept", "idf")}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"{path} is missing or damaged ({error}); roll back to another version, or train a new one"
    )


def _rebuilt(description: dict[str, Any], arrays: dict[str, Any]) -> Recognizer:
    params = description["params"] | {"ngram_range": tuple(description["params"]["ngram_range"])}
    recognizer = Recognizer(**params)
    recognizer.memory_ = _memory(**description["memory"])
    recognizer.memory_probability_ = {
        evidence: float(description["memory_probability"][evidence]) for evidence in PRIOR_SHARE
    }
    recognizer.linear_ = _linear(recognizer, description, arrays)
    recognizer.classes_ = recognizer.linear_.classes_
    return recognizer


def _memory(
    targets: list[str], normalized: list[str], texts: list[str], target: list[int]
) -> Memory:
    memory = Memory()
    for form, text, place in zip(normalized, texts, target, strict=True):
        memory.restore(form, Entry(targets[place], text))
    return memory


def _linear(
    recognizer: Recognizer, description: dict[str, Any], arrays: dict[str, Any]
) -> LinearModel:
    linear = recognizer.new_linear()
    terms = description["terms"]
    linear.classes_ = np.array(description["classes"], dtype=object)
    shape = (len(terms), len(linear.classes_))
    if arrays["weights"].shape != shape or arrays["intercept"].shape != shape[1:]:
        raise ValueError(f"weights of shape {arrays['weights'].shape} for {shape}")
    linear.weights_ = arrays["weights"].astype(np.float32)
    linear.intercept_ = arrays["intercept"]
    linear.calibration_ = _calibration(description["calibration"])
    linear.vectorizer_ = (
        restore_vectorizer(linear.ngram_range, terms, arrays["idf"]) if terms else None
    )
    return linear


def _calibration(stored: list[float] | None) -> tuple[float, float, float] | None:
    if stored is None:
        return None
    intercept, margin, lead = map(float, stored)
    return intercept, margin, lead
