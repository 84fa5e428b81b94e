"""A stacking's own weights and calibration as arrays and JSON, and back; a part of `bundle`.

What does not fit raises ValueError here, and `ModelUnavailable` there.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_pipeline.model.archive import Arrays
from llm_pipeline.model.calibration import Logistic
from llm_pipeline.model.extra import Vocabulary
from llm_pipeline.model.features import Ngrams
from llm_pipeline.model.linear import VIEWS, LinearModel, untested
from llm_pipeline.model.packing import ngram_arrays, restored_ngrams
from llm_pipeline.model.sources import Approved, CatalogueNames
from llm_pipeline.model.stacking import PRIOR_NAME, PRIOR_NEIGHBOUR, UNFITTED, Stacking

_CALIBRATION = {
    "linear": untested(),
    "neighbour": PRIOR_NEIGHBOUR,
    "name": PRIOR_NAME,
    "stacked": UNFITTED,
}


def described(
    stacking: Stacking, documents: npt.NDArray[np.intp], prefix: str = ""
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return what a stacking does not share with others; `prefix` begins its arrays' names.

    `documents` are those that are saved.
    """
    linear = stacking.linear
    description = {
        "linear_classes": linear.classes_.tolist(),
        "serves": stacking.serves,
        "overturns": stacking.overturns,
        "taught": int((documents < stacking.taught).sum()),
        "C": linear.C_,
        "calibration": {
            "linear": logistic(linear.calibration_),
            "neighbour": logistic(stacking.neighbour),
            "name": logistic(stacking.name),
            "stacked": logistic(stacking.stacked),
        },
    }
    if linear.vocabulary_.tokens:
        description["tokens"] = list(linear.vocabulary_.tokens)
    arrays: dict[str, npt.NDArray[Any]] = {
        f"{prefix}weights": linear.weights_.astype(np.float16),
        f"{prefix}intercept": linear.intercept_,
        **ngram_arrays(f"{prefix}linear", linear.ngrams_),
    }
    return description, arrays


def rebuilt(
    description: dict[str, Any],
    arrays: Arrays,
    linear: LinearModel,
    shared: tuple[Approved, CatalogueNames, int],
    prefix: str = "",
) -> Stacking:
    """Return a stacking over what it shares with others: texts, names and number of threads."""
    _fill(linear, description, arrays, prefix)
    stored = description["calibration"]
    calibration = {
        name: restored_logistic(stored[name], like) for name, like in _CALIBRATION.items()
    }
    linear.calibration_ = calibration.pop("linear")
    linear.C_ = float(description["C"])
    approved, names, threads = shared
    serves = description["serves"]
    stacking = Stacking(
        linear,
        approved,
        names,
        serves,
        **calibration,
        threads=threads,
        overturns=bool(description["overturns"]),
        taught=column([description["taught"]], int)[0],
    )
    if serves not in stacking.ways:
        raise ValueError(f"it answers by {serves!r}, which it does not hold")
    return stacking


def _fill(linear: LinearModel, description: dict[str, Any], arrays: Arrays, prefix: str) -> None:
    classes = column(description["linear_classes"])
    linear.classes_ = np.array(classes, dtype=object)
    linear.ngrams_ = restored_ngrams(Ngrams(VIEWS), f"{prefix}linear", arrays)
    linear.vocabulary_ = Vocabulary(column(description.get("tokens", [])))
    weights, intercept = arrays[f"{prefix}weights"], arrays[f"{prefix}intercept"]
    terms = len(linear.ngrams_.columns_) + len(linear.vocabulary_.place)
    shape = (terms, len(classes))
    if weights.shape != shape or intercept.shape != shape[1:]:
        raise ValueError(f"weights of shape {weights.shape} for {shape}")
    linear.weights_ = weights.astype(np.float32)
    linear.intercept_ = intercept.astype(np.float32)
    if not np.isfinite(linear.weights_.sum() + linear.intercept_.sum()):
        raise ValueError("weights that are not finite")
    linear.tested_ = None


def logistic(stored: Logistic) -> list[float]:
    return [stored.intercept, *stored.weights]


def restored_logistic(stored: list[float], like: Logistic) -> Logistic:
    intercept, *weights = map(float, stored)
    if len(weights) != len(like.weights) or not all(map(math.isfinite, stored)):
        raise ValueError(f"{stored} for a calibration by {len(like.weights)} scores")
    return Logistic(intercept, tuple(weights))


def column(values: list[Any], kind: type = str) -> list[Any]:
    """Return the values if they are a list of nothing else."""
    if type(values) is not list or set(map(type, values)) - {kind}:
        raise ValueError(f"what should be a list of {kind.__name__} is not")
    return values
