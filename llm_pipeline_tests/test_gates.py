"""Each rule of each suite, on rows built to break it and it alone."""

from typing import Any

import pandas as pd
import pytest

from llm_pipeline import gates
from llm_pipeline.errors import GateFailed

ROWS = 4
GOOD: dict[str, dict[str, list[Any]]] = {
    "submissions": {
        "text": ["A", "B", "C", "D"],
        "text_length": [1, 1, 1, 2_000],
        "text_state": ["ok"] * ROWS,
        "target_state": ["known", "none", "known", "none"],
        "time_state": ["ok", "none", "ok", "none"],
        "amount_state": ["none", "ok", "ok", "none"],
    },
    "approved_mappings": {
        "target": ["GS", "UBER", "GS", "UBER"],
        "active": [True] * ROWS,
        "normalized": ["a", "b", "c", "d"],
    },
    "training_set": {
        "target": ["GS", "UBER", "GS", "UBER"],
        "active": [True] * ROWS,
        "normalized": ["a", "b", "c", "d"],
        "text_length": [1, 1, 1, 2_000],
    },
    "predictions": {"probability": [0.0, 0.5, 0.99995, 1.0], "active": [True] * ROWS},
}
# Suite, column, the values of its last rows that break it, the reason, how bad it is.
BROKEN: list[tuple[str, str, list[Any], str, str]] = [
    ("submissions", "text", [None], "the text is empty", "critical"),
    ("submissions", "text_length", [2_001], "the text is over 2000 characters", "critical"),
    ("submissions", "text_state", ["it has none"], "the text cannot be read", "critical"),
    ("submissions", "target_state", ["'X' is retired"], "the target cannot be used", "critical"),
    ("submissions", "time_state", ["'yesterday'"], "the time is not a date", "critical"),
    ("submissions", "amount_state", ["'twelve'"], "the amount is not a number", "critical"),
    ("approved_mappings", "target", [None], "no entry of the catalogue", "critical"),
    ("approved_mappings", "active", [False], "points at a retired target", "warning"),
    ("approved_mappings", "normalized", ["a"], "a text has two live mappings", "critical"),
    ("training_set", "target", [None], "the catalogue does not know", "critical"),
    ("training_set", "active", [False], "retired or unknown", "critical"),
    ("training_set", "normalized", ["a"], "stands twice", "critical"),
    ("training_set", "text_length", [0], "empty or too long", "critical"),
    ("training_set", "text_length", [2_001], "empty or too long", "critical"),
    ("training_set", "target", ["GS"] * 4, "only one target", "warning"),
    ("predictions", "probability", [1.5], "outside 0 to 1", "critical"),
    ("predictions", "probability", [-0.1], "outside 0 to 1", "critical"),
    ("predictions", "active", [False], "retired or unknown", "critical"),
    ("predictions", "probability", [1.0, 1.0, 1.0], "claim to be certain", "warning"),
]


def _frame(suite: str, column: str = "", values: list[Any] | None = None) -> pd.DataFrame:
    columns = {name: list(cells) for name, cells in GOOD[suite].items()}
    if values:
        columns[column][-len(values) :] = values
    return pd.DataFrame(columns)


def test_every_rule_is_tried() -> None:
    tried = {(suite, reason) for suite, _, _, reason, _ in BROKEN}
    untried = [
        (suite, rule.reason)
        for suite, rules in gates.SUITES.items()
        for rule in rules
        if not any(suite == s and part in rule.reason for s, part in tried)
    ]
    assert untried == [("training_set", "there are too few texts to learn from")]


@pytest.mark.parametrize("suite", list(gates.SUITES))
def test_good_rows_pass(suite: str) -> None:
    result = gates.validate(suite, _frame(suite))
    assert (result.success, result.severity, result.failures) == (True, "none", ())
    assert (result.rows, result.checks) == (ROWS, len(gates.SUITES[suite]))


@pytest.mark.parametrize(("suite", "column", "values", "reason", "severity"), BROKEN)
def test_a_rule_fails_on_what_breaks_it(
    suite: str, column: str, values: list[Any], reason: str, severity: str
) -> None:
    result = gates.validate(suite, _frame(suite, column, values))
    (failure,) = result.failures
    assert reason in failure["reason"]
    assert (result.severity, failure["severity"], failure["column"]) == (severity, severity, column)
    assert result.success is (severity == "warning")
    assert 1 <= failure["failing"] <= ROWS


def test_too_few_texts_are_told_with_their_number() -> None:
    (failure,) = gates.validate("training_set", _frame("training_set").head(1)).failures[:1]
    assert failure["reason"] == "there are too few texts to learn from"
    assert (failure["observed"], failure["column"]) == (1, None)


@pytest.mark.parametrize("suite", list(gates.SUITES))
def test_a_missing_column_is_a_broken_check_and_never_passes(suite: str) -> None:
    for column in GOOD[suite]:
        result = gates.validate(suite, _frame(suite).drop(columns=column))
        assert (result.success, result.severity) == (False, "critical")
        assert all("the check itself broke" in f["reason"] for f in result.failures)
        assert {f["column"] for f in result.failures} == {column}


def test_no_row_passes_where_a_check_cannot_look() -> None:
    with pytest.raises(GateFailed, match="text_state"):
        gates.failing_rows("submissions", _frame("submissions").drop(columns="text_state"))


def test_every_bad_row_is_named_with_all_its_reasons() -> None:
    frame = pd.concat([_frame("submissions")] * 10, ignore_index=True)
    frame.index += 100
    frame.loc[103, ["text", "text_state"]] = [None, "it has a control character"]
    frame.loc[110:139, "time_state"] = "'soon'"
    reasons = gates.failing_rows("submissions", frame)
    assert list(reasons) == [103, *range(110, 140)]
    assert reasons[103] == [
        "the text is empty",
        "the text cannot be read: it has a control character",
    ]
    assert reasons[120][0].endswith("20261122: 'soon'")


def test_a_lenient_rule_names_no_row() -> None:
    frame = _frame("approved_mappings", "active", [False])
    assert gates.failing_rows("approved_mappings", frame) == {}


def test_examples_are_a_few_of_the_failing_values() -> None:
    frame = pd.concat([_frame("submissions")] * 10, ignore_index=True)
    frame["time_state"] = [f"'{number}'" for number in range(40)]
    (failure,) = gates.validate("submissions", frame).failures
    assert (failure["failing"], len(failure["examples"])) == (40, 20)
    assert failure["examples"][0] == "'0'"


@pytest.mark.parametrize("number", [199, 201, 5_000])
def test_every_failing_row_is_named_however_many_there_are(number: int) -> None:
    good = {"text": "a", "text_length": 1, "text_state": "ok", "time_state": "none"}
    rows = [
        {**good, "amount_state": "none", "target_state": f"'{n}' is unknown"} for n in range(number)
    ]
    found = gates.failing_rows("submissions", pd.DataFrame(rows, index=range(7, number + 7)))
    assert len(found) == number
    assert found[number + 6] == [f"the target cannot be used: '{number - 1}' is unknown"]
