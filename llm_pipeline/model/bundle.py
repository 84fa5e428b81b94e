"""A recogniser as two plain files: `arrays.npz` and `recognizer.json`; nothing is unpickled.

Weights and rows are float16, which holds them exactly: a loaded recogniser gives the answers of the
saved one. An imported model may be made to harm: what does not fit raises `ModelUnavailable` here,
before anything is recognised with it.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from llm_pipeline.errors import ModelOutdated, ModelUnavailable
from llm_pipeline.model import archive, bundle_weights
from llm_pipeline.model.archive import Arrays
from llm_pipeline.model.bundle_weights import column, logistic, restored_logistic
from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.memory import Entry, Memory, restored
from llm_pipeline.model.neighbours import VIEWS
from llm_pipeline.model.packing import (
    check_kinds,
    ngram_arrays,
    restored_ngrams,
    restored_rows,
    row_arrays,
)
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.model.sources import Approved, CatalogueNames
from llm_pipeline.model.stacking import Stacking
from llm_pipeline.model.trust import PRIOR_EXACT, PRIOR_KEY, Trust

FORMAT = 2  # raise it when normalize(), group_key() or the hashing of n-grams change
ARRAYS = "arrays.npz"
DESCRIPTION = "recognizer.json"
MOST_THREADS = 1024
EXTRA = "extra_"  # begins the names of arrays of weights that know columns beside the text

# Texts may hold half a surrogate pair, which plain UTF-8 does not take.
_HALVES = "surrogatepass"


def save(recognizer: Recognizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    description, arrays = _described(recognizer)
    description["sha256"] = archive.write(folder / ARRAYS, arrays)
    text = json.dumps(description, ensure_ascii=False, separators=(",", ":"))
    (folder / DESCRIPTION).write_text(text, encoding="utf-8", errors=_HALVES)


def load(folder: Path) -> Recognizer:
    """Read what `save` wrote; a missing or damaged file raises `ModelUnavailable`."""
    description = _read_description(folder / DESCRIPTION)
    arrays = archive.read(folder / ARRAYS, description.get("sha256"))
    try:
        return _rebuilt(description, arrays)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelUnavailable(
            f"the files of the saved model in {folder} do not fit together ({error!r}); "
            "roll back to another version, or train a new one"
        ) from error


def _described(recognizer: Recognizer) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    trust, extra = recognizer.trust_, recognizer.stacking_extra_
    approved, names = recognizer.approved_, recognizer.names_
    memory, documents = _described_memory(recognizer.memory_, approved)
    weighed, weights = bundle_weights.described(recognizer.stacking_, documents)
    weighed["calibration"] |= {"exact": logistic(trust.exact), "key": logistic(trust.key)}
    description = {
        "format": FORMAT,
        "params": recognizer.get_params(),
        "classes": recognizer.classes_.tolist(),
        **weighed,
        "memory": memory,
        "names": {
            "texts": names.texts,
            "normalized": names.normalized,
            "holders": [list(holders) for holders in names.holders],
        },
    }
    arrays: dict[str, npt.NDArray[Any]] = {
        **weights,
        **ngram_arrays("ngrams", recognizer.ngrams_),
        **row_arrays("approved", approved.index.rows()[documents]),
        **row_arrays("names", names.index.rows()),
    }
    if extra is not None:
        description["extra"], more = bundle_weights.described(extra, documents, EXTRA)
        arrays |= more
    return description, arrays


def _described_memory(
    memory: Memory, approved: Approved
) -> tuple[dict[str, Any], npt.NDArray[np.intp]]:
    """Return texts and keys as columns, and the documents of the keys that are still known."""
    entries, latest = memory.entries(), dict(memory.latest)
    targets = {entry.target: None for _, entry in entries}
    places = {target: place for place, target in enumerate(targets)}
    by_text = {entry.text: place for place, (_, entry) in enumerate(entries)}
    kept = [place for place, key in enumerate(approved.keys) if key in latest]
    keys = [approved.keys[place] for place in kept]
    described = {
        "targets": list(targets),
        "normalized": [normalized for normalized, _ in entries],
        "texts": [entry.text for _, entry in entries],
        "target": [places[entry.target] for _, entry in entries],
        "seen": [entry.seen for _, entry in entries],
        "changes": [entry.changes for _, entry in entries],
        "keys": keys,
        "key_text": [by_text[latest[key].text] for key in keys],
        "key_seen": [latest[key].seen for key in keys],
        "key_changes": [latest[key].changes for key in keys],
    }
    return described, np.array(kept, dtype=np.intp)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8", errors=_HALVES))
    except (OSError, ValueError, RecursionError) as error:
        raise archive.unreadable(path, error) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ModelOutdated(
            f"{path} is not of format {FORMAT}, the one this version reads; train a new model"
        )
    return description


def _rebuilt(description: dict[str, Any], arrays: Arrays) -> Recognizer:
    recognizer = Recognizer(**_params(**description["params"]))
    check_kinds(arrays)
    stored = description["calibration"]
    recognizer.trust_ = Trust(
        restored_logistic(stored["exact"], PRIOR_EXACT), restored_logistic(stored["key"], PRIOR_KEY)
    )
    recognizer.classes_ = np.array(column(description["classes"]), dtype=object)
    recognizer.ngrams_ = restored_ngrams(Ngrams(VIEWS, balanced=True), "ngrams", arrays)
    recognizer.memory_ = _memory(**description["memory"])
    recognizer.approved_ = Approved(recognizer.ngrams_, recognizer.memory_)
    recognizer.approved_.restore(
        description["memory"]["keys"], restored_rows("approved", arrays, recognizer.ngrams_)
    )
    recognizer.names_ = CatalogueNames(recognizer.ngrams_)
    names = restored_rows("names", arrays, recognizer.ngrams_)
    _names(recognizer.names_, **description["names"], rows=names)
    recognizer.stacking_ = _stacking(recognizer, description, arrays)
    recognizer.linear_ = recognizer.stacking_.linear
    extra = description.get("extra")
    recognizer.stacking_extra_ = (
        None if extra is None else _stacking(recognizer, extra, arrays, EXTRA)
    )
    recognizer.extra_test_ = None
    recognizer.gone_ = {}  # told by the log since the model's offset
    return recognizer


def _stacking(
    recognizer: Recognizer, description: dict[str, Any], arrays: Arrays, prefix: str = ""
) -> Stacking:
    linear = LinearModel(C=recognizer.C, random_state=recognizer.random_state)
    shared = (recognizer.approved_, recognizer.names_, recognizer.n_jobs)
    return bundle_weights.rebuilt(description, arrays, linear, shared, prefix)


def _memory(
    *,
    targets: list[str],
    normalized: list[str],
    texts: list[str],
    target: list[int],
    seen: list[int],
    changes: list[int],
    keys: list[str],
    key_text: list[int],
    key_seen: list[int],
    key_changes: list[int],
) -> Memory:
    for words in (targets, normalized, texts, keys):
        column(words)
    for numbers in (target, seen, changes, key_text, key_seen, key_changes):
        if min(column(numbers, int), default=0) < 0:
            raise ValueError("a place or a count below zero")
    if not len(normalized) == len(texts) == len(target) == len(seen) == len(changes):
        raise ValueError("columns of texts of different length")
    if not len(keys) == len(key_text) == len(key_seen) == len(key_changes):
        raise ValueError("columns of keys of different length")
    entries = list(map(Entry, map(targets.__getitem__, target), texts, seen, changes))
    latest = [entries[place] for place in key_text]
    by_key = [
        Entry(entry.target, entry.text, times, changed)
        for entry, times, changed in zip(latest, key_seen, key_changes, strict=True)
    ]
    return restored(zip(normalized, entries, strict=True), zip(keys, by_key, strict=True))


def _params(*, min_probability: float, n_jobs: int, **others: float | None) -> dict[str, Any]:
    """Return parameters that are numbers, and no more threads than machines have."""
    if {type(min_probability), *map(type, others.values())} - {int, float, type(None)}:
        raise ValueError(f"parameters that are not numbers: {min_probability}, {others}")
    if n_jobs not in range(-1, MOST_THREADS):
        raise ValueError(f"{n_jobs} threads")
    return {"min_probability": float(min_probability), "n_jobs": n_jobs, **others}


def _names(
    names: CatalogueNames,
    *,
    texts: list[str],
    normalized: list[str],
    holders: list[list[str]],
    rows: csr_matrix,
) -> None:
    for held in (texts, normalized, *column(holders, list)):
        column(held)
    names.restore(texts, normalized, holders, rows)
