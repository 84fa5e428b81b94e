"""Rows through a gate, one of each kind: those that differ in nothing that a suite looks at break
the same of its rules.

Great Expectations takes 4 s for a million rows, and most of them are of a few kinds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llm_pipeline.errors import GateFailed
from llm_pipeline.gates import apart
from llm_pipeline.gates.rules import Rule
from llm_pipeline.gates.running import told
from llm_pipeline.gates.suites import SUITES

# Missing, below both limits, at one, between them, and so on: no rule has more sides.
_MISSING, _SIDES = 5, 6
# The rules that a kind of rows of a suite breaks: there are no more kinds than sides to its rules.
_ANSWERS: dict[tuple[str, int], Sequence[int]] = {}


def failing_rows(suite: str, frame: pd.DataFrame) -> dict[Any, list[str]]:
    """Return the reasons of every row that breaks a critical rule, by its index in the frame.

    Raises GateFailed if a check could not run at all: a broken check must not pass rows; ValueError
    for a suite with a rule across rows.
    """
    rules = SUITES[suite]
    if frame.empty:
        return {}
    if missing := [rule.column for rule in rules if rule.column not in frame]:
        raise GateFailed(f"the gate {suite} could not check {', '.join(missing)}: no such column")
    number_of_kind = np.zeros(len(frame), np.int64)
    for rule in rules:
        number_of_kind = number_of_kind * _SIDES + _side(rule, frame)
    kinds, first, kind = np.unique(number_of_kind, return_index=True, return_inverse=True)
    broken = _broken_by(suite, kinds.tolist(), frame.iloc[first])
    reasons: dict[int, list[str]] = {}
    for number, rule in enumerate(rules):
        places = np.flatnonzero(np.array([number in one for one in broken])[kind])
        values = frame[rule.column].iloc[places].tolist()
        for place, value in zip(places.tolist(), values, strict=True):
            reasons.setdefault(place, []).append(told(rule, value))
    return {frame.index[place]: reasons[place] for place in sorted(reasons)}


def _broken_by(suite: str, kinds: Sequence[int], examples: pd.DataFrame) -> list[Sequence[int]]:
    """Return which rules each kind breaks; the gate is asked about those that are new."""
    new = [place for place, kind in enumerate(kinds) if (suite, kind) not in _ANSWERS]
    if new:
        found = apart.broken_rules(suite, examples.iloc[new].reset_index(drop=True))
        for asked, place in enumerate(new):
            _ANSWERS[suite, kinds[place]] = found.get(asked, ())
    return [_ANSWERS[suite, kind] for kind in kinds]


def _side(rule: Rule, frame: pd.DataFrame) -> NDArray[np.int64]:
    """Return where each row stands to a rule; rows of one number are the same to it."""
    column = frame[rule.column]
    missing = column.isna().to_numpy()
    if rule.expectation == "ExpectColumnValuesToBeInSet":
        side = column.isin(rule.arguments["value_set"]).to_numpy().astype(np.int64)
    elif rule.expectation == "ExpectColumnValuesToBeBetween":
        limits = [rule.arguments.get(name) for name in ("min_value", "max_value")]
        known = np.sort([limit for limit in limits if limit is not None])
        values = column.to_numpy(np.float64, na_value=np.nan)
        # Below a limit, at it and above it are three numbers, whatever the other one adds.
        side = np.searchsorted(known, values) + np.searchsorted(known, values, "right")
    elif rule.expectation == "ExpectColumnValuesToNotBeNull":
        side = np.zeros(len(frame), np.int64)
    else:
        raise ValueError(f"{rule.expectation} cannot be told of one row")
    return np.where(missing, _MISSING, side)
