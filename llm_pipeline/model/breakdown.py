"""Where a recogniser is weak: by slice, by target, what it confuses, its surest wrong answers.

All of it reads an answered stream as `progressive.answer_stream` returns it.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from llm_pipeline.domain.intervals import wilson
from llm_pipeline.domain.records import Target
from llm_pipeline.model.evaluation import calibration_error

CONFIDENCE = 0.95
LENGTHS = {"1-10": 10, "11-20": 20, "21-30": 30, "31-50": 50}
LONGEST = "over 50"
FEW = 10
WRONG = 200

Floats = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Answers:
    """The columns that slices are scored by, and the half-width of their intervals."""

    correct: Chosen
    probability: Floats
    keys: npt.NDArray[np.intp]
    new: Chosen
    z: float

    def of(self, rows: Chosen) -> dict[str, Any]:
        correct, new = self.correct[rows], self.correct[rows & self.new]
        low, high = self.interval(rows)
        return {
            "rows": len(correct),
            "accuracy": float(correct.mean()),
            "at_least": low,
            "at_most": high,
            "ece": calibration_error(self.probability[rows], correct, 1 / len(correct)),
            "new_rows": len(new),
            "new_accuracy": float(new.mean()) if len(new) else 0.0,
            "weak": bool(not rows.all() and high < self.interval(~rows)[0]),
        }

    def interval(self, rows: Chosen) -> tuple[float, float]:
        correct = self.correct[rows]
        return wilson(float(correct.mean()), effective_rows(correct, self.keys[rows]), self.z)


def slices(stream: pd.DataFrame, catalogue: Sequence[Target]) -> pd.DataFrame:
    """Score every slice of every dimension, those that are surely weak first.

    `weak`: the whole interval of the slice's accuracy lies below that of all other rows. The
    intervals are Wilson's, at 95 % for all slices together (Bonferroni), over `effective_rows`.
    """
    columns = [(name, values.to_numpy()) for name, values in dimensions(stream, catalogue).items()]
    places = [(name, value, of == value) for name, of in columns for value in pd.unique(of)]
    if not places:
        return pd.DataFrame(columns=["dimension", "slice", "rows", "accuracy", "ece", "weak"])
    answers = _Answers(
        stream["correct"].to_numpy(bool),
        stream["probability"].to_numpy(np.float64),
        pd.factorize(stream["key"])[0],
        (stream["memory"] == "none").to_numpy(),
        float(norm.ppf(1 - (1 - CONFIDENCE) / (2 * len(places)))),
    )
    found = pd.DataFrame(
        [{"dimension": name, "slice": value, **answers.of(rows)} for name, value, rows in places]
    )
    order = ["weak", "dimension", "slice"]
    return found.sort_values(order, ascending=[False, True, True], ignore_index=True)


def dimensions(stream: pd.DataFrame, catalogue: Sequence[Target]) -> dict[str, "pd.Series[str]"]:
    """Return by which values the rows are sliced."""
    category = stream["target"].map({entry.key: entry.category for entry in catalogue})
    sliced = {
        "category": category.fillna("").replace("", "none"),
        "length": _length(stream["text"]),
        "evidence": stream["evidence"],
        "script": _script(stream["normalized"]),
        "examples": _examples(stream["learned"]),
    }
    if "at" in stream:
        sliced["month"] = pd.to_datetime(stream["at"], utc=True).dt.strftime("%Y-%m")
    return {name: values.fillna("none").astype(object) for name, values in sliced.items()}


def script(normalized: str) -> str:
    """Tell in which letters a text is written.

    >>> [script(text) for text in ("taxi 7", "東京 taxi", "24 7")]
    ['Latin', 'not only Latin', 'no letters']
    """
    letters = [letter for letter in normalized if letter.isalpha()]
    if not letters:
        return "no letters"
    latin = all(c.isascii() or unicodedata.name(c, "").startswith("LATIN") for c in letters)
    return "Latin" if latin else "not only Latin"


def effective_rows(correct: npt.NDArray[np.bool_], keys: npt.NDArray[np.intp]) -> float:
    """Return how many independent rows tell as much about the share that is right.

    Rows of one key tend to be right or wrong together. How much they do is seen in the variance of
    the share over keys; it is never taken for more than if the rows of each key were all alike.
    """
    sizes = np.bincount(keys).astype(float)
    sizes, rows, share = sizes[sizes > 0], len(correct), correct.mean() if len(correct) else 0.0
    least = rows**2 / (sizes**2).sum() if rows else 0.0
    if share in (0.0, 1.0) or len(sizes) == 1:
        return float(least)
    off = np.bincount(keys, correct - share)
    variance = (off**2).sum() / rows**2 * len(sizes) / (len(sizes) - 1)
    return float(np.clip(share * (1 - share) / max(variance, 1e-12), least, rows))


def by_target(stream: pd.DataFrame, catalogue: Sequence[Target]) -> pd.DataFrame:
    """Return precision and recall of every target that occurs or was answered, the worst first.

    Worst by the upper end of the recall's interval: never right in 100 rows is worse than in one.
    """
    wanted, given = stream["target"], stream["predicted"]
    table = pd.DataFrame(
        {
            "support": wanted.value_counts(),
            "answered": given[given != ""].value_counts(),
            "right": wanted[stream["correct"]].value_counts(),
        }
    )
    table = table.fillna(0).astype(int).rename_axis("target").reset_index()
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    table["precision"] = _share(table["right"], table["answered"])
    table["recall"] = _share(table["right"], table["support"])
    table["at_best"] = [
        wilson(share, rows, z)[1]
        for share, rows in zip(table["recall"], table["support"], strict=True)
    ]
    names = {entry.key: entry.name for entry in catalogue}
    table.insert(1, "name", table["target"].map(names).fillna(""))
    order = ["at_best", "support", "target"]
    ordered = table.sort_values(order, ascending=[True, False, True], ignore_index=True)
    return ordered.drop(columns="at_best")


def surest_wrong(stream: pd.DataFrame, limit: int = WRONG) -> pd.DataFrame:
    """Return the wrong answers given with most confidence, each text and answer once."""
    wrong = stream[~stream["correct"]].sort_values("probability", ascending=False, kind="stable")
    once = wrong.drop_duplicates(["normalized", "target", "predicted"]).head(limit)
    return once[["text", "target", "predicted", "probability", "evidence"]].reset_index(drop=True)


def confusions(stream: pd.DataFrame, limit: int = WRONG) -> pd.DataFrame:
    """Return which targets are taken for which others, the most rows first.

    A line is a pair of target and wrong answer: `rows`, their `share` of the target's rows, the
    mean `probability` they came with, and the surest of their texts as `example`.
    """
    wrong = stream[~stream["correct"] & (stream["predicted"] != "")]
    surest = wrong.sort_values("probability", ascending=False, kind="stable")
    pairs = surest.groupby(["target", "predicted"], sort=False, as_index=False, observed=True)
    table = pairs.agg(
        rows=("text", "size"), probability=("probability", "mean"), example=("text", "first")
    )
    rows = stream["target"].value_counts()
    table.insert(3, "share", _share(table["rows"], table["target"].map(rows)))
    order = ["rows", "target", "predicted"]
    ordered = table.sort_values(order, ascending=[False, True, True], ignore_index=True)
    return ordered.head(limit)


def _share(part: "pd.Series[int]", whole: "pd.Series[int]") -> "pd.Series[float]":
    return (part / whole.where(whole > 0)).fillna(0.0)


def _length(texts: "pd.Series[str]") -> "pd.Series[str]":
    edges = [-1, *LENGTHS.values(), np.inf]
    return pd.cut(texts.str.len(), edges, labels=[*LENGTHS, LONGEST]).astype(object)


def _examples(learned: "pd.Series[int]") -> "pd.Series[str]":
    labels = ["name only", f"few (1-{FEW - 1})", f"many ({FEW} or more)"]
    return pd.cut(learned, [-1, 0, FEW - 1, np.inf], labels=labels).astype(object)


def _script(normalized: "pd.Series[str]") -> "pd.Series[str]":
    codes, distinct = pd.factorize(normalized)
    told = np.array([script(text) for text in distinct], dtype=object)
    return pd.Series(told[codes], index=normalized.index, dtype=object)
