"""Each rule of each suite, on rows built to break it and it alone."""

from typing import Any

import pandas as pd
import pytest

from llm_pipeline.domain.gate import LISTED, Figures, Listed
from llm_pipeline.errors import GateFailed
from llm_pipeline.gates.kinds import failing_rows
from llm_pipeline.gates.running import broken_rules, validate
from llm_pipeline.gates.suites import FIGURES, SUITES, limits

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
        "normalized_length": [1, 2, 3, 4],
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
    ("approved_mappings", "active", [False], "points at a retired or unknown target", "warning"),
    ("approved_mappings", "normalized", ["a"], "a text has two live mappings", "critical"),
    ("training_set", "target", [None], "the catalogue does not know", "critical"),
    ("training_set", "active", [False], "retired or unknown", "critical"),
    ("training_set", "normalized", ["a"], "stands twice", "critical"),
    ("training_set", "text_length", [0], "empty or too long", "critical"),
    ("training_set", "text_length", [2_001], "empty or too long", "critical"),
    ("approved_mappings", "normalized_length", [0], "without any word", "critical"),
    ("predictions", "probability", [None], "has no probability", "critical"),
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
        for suite, rules in SUITES.items()
        for rule in rules
        if not any(suite == s and part in rule.reason for s, part in tried)
    ]
    assert untried == []


@pytest.mark.parametrize("suite", list(SUITES))
def test_good_rows_pass(suite: str) -> None:
    result = validate(suite, _frame(suite))
    assert (result.success, result.severity, result.failures) == (True, "none", ())
    assert (result.rows, result.checks) == (ROWS, len(SUITES[suite]))


@pytest.mark.parametrize(("suite", "column", "values", "reason", "severity"), BROKEN)
def test_a_rule_fails_on_what_breaks_it(
    suite: str, column: str, values: list[Any], reason: str, severity: str
) -> None:
    result = validate(suite, _frame(suite, column, values))
    (failure,) = result.failures
    assert reason in failure["reason"]
    assert (result.severity, failure["severity"], failure["column"]) == (severity, severity, column)
    assert result.success is (severity == "warning")
    assert 1 <= failure["failing"] <= ROWS


GOOD_FIGURES: dict[str, dict[str, float | None]] = {
    "submissions": {
        "schema_gaps": 0.0,
        "doubled_rows": 0.0,
        "conflict_share": 0.1,
        "volume_ratio": None,
    },
    "approved_mappings": {"schema_gaps": 0.0, "largest_share": 0.9},
    "training_set": {
        "schema_gaps": 0.0,
        "texts": 2.0,
        "targets": 2.0,
        "largest_share": None,
        "conflict_share": 0.03,
        "leaked_share": 0.03,
        "stale_share": 0.0,
        "volume_ratio": 1.2,
    },
    "predictions": {"schema_gaps": 0.0, "largest_share": 0.5, "unanswered_share": 0.9},
}
# Suite, figure, a value that breaks rules about it, their reasons, how bad the worst is.
BROKEN_FIGURES: list[tuple[str, str, float, list[str], str]] = [
    *((suite, "schema_gaps", 1, ["not those of this version"], "critical") for suite in SUITES),
    ("submissions", "doubled_rows", 1, ["taken in twice"], "critical"),
    ("submissions", "volume_ratio", 5.1, ["more or less than usual"], "warning"),
    ("submissions", "volume_ratio", 0.1, ["more or less than usual"], "warning"),
    ("approved_mappings", "largest_share", 0.91, ["texts mean one target"], "warning"),
    ("submissions", "conflict_share", 0.11, ["senders disagree"], "warning"),
    ("training_set", "texts", 1, ["too few texts"], "critical"),
    ("training_set", "targets", 1, ["only one target"], "warning"),
    ("training_set", "largest_share", 0.91, ["texts mean one target"], "warning"),
    ("training_set", "conflict_share", 0.11, ["changed their label"], "warning"),
    ("training_set", "leaked_share", 0.06, ["that test are also taught"], "warning"),
    ("training_set", "leaked_share", 0.21, ["also taught", "many texts that test"], "critical"),
    ("training_set", "stale_share", 0.001, ["a normalised form does not"], "warning"),
    ("training_set", "stale_share", 0.02, ["a normalised form", "normalised forms"], "critical"),
    ("training_set", "volume_ratio", 0.79, ["smaller than the one before"], "warning"),
    ("predictions", "largest_share", 0.91, ["nearly all answers"], "warning"),
    ("predictions", "unanswered_share", 0.91, ["hardly any text"], "warning"),
]


def test_every_rule_for_figures_is_tried() -> None:
    tried = {(suite, reason) for suite, _, _, reasons, _ in BROKEN_FIGURES for reason in reasons}
    untried = [
        (suite, rule.reason)
        for suite, rules in FIGURES.items()
        for rule in rules
        if not any(suite == s and part in rule.reason for s, part in tried)
    ]
    assert untried == []


@pytest.mark.parametrize("suite", list(SUITES))
def test_good_figures_pass(suite: str) -> None:
    result = validate(suite, _frame(suite), Figures(GOOD_FIGURES[suite]))
    assert (result.success, result.failures, result.figures) == (True, (), GOOD_FIGURES[suite])
    assert result.checks == len(SUITES[suite]) + len(FIGURES[suite])
    assert set(limits(suite)) == GOOD_FIGURES[suite].keys()


@pytest.mark.parametrize(("suite", "figure", "value", "reasons", "severity"), BROKEN_FIGURES)
def test_a_figure_outside_its_limits_fails_with_what_it_counts(
    suite: str, figure: str, value: float, reasons: list[str], severity: str
) -> None:
    listed = {figure: [Listed("thing", "17", "odd")]}
    figures = Figures({**GOOD_FIGURES[suite], figure: value}, listed)
    result = validate(suite, _frame(suite), figures)
    assert [r in f["reason"] for r, f in zip(reasons, result.failures, strict=True)] == [
        True for _ in reasons
    ]
    assert (result.severity, result.success) == (severity, severity == "warning")
    assert {(row.kind, row.key, row.value) for row in result.failing} == {("thing", "17", "odd")}
    assert {failure["observed"] for failure in result.failures} == {value}


def test_failing_rows_are_named_by_their_keys_up_to_a_limit() -> None:
    bad = pd.DataFrame({"probability": [2.0] * (LISTED + 5), "active": True})
    bad.index = bad.index + 100
    result = validate("predictions", bad)
    above = [row for row in result.failing if "outside" in row.reason]
    assert [row.key for row in above[:2]] == ["100", "101"]
    assert len(above) == LISTED
    (failure,) = (f for f in result.failures if "outside" in f["reason"])
    assert (failure["failing"], failure["listed"]) == (LISTED + 5, LISTED)


@pytest.mark.parametrize("suite", list(SUITES))
def test_a_missing_column_is_a_broken_check_and_never_passes(suite: str) -> None:
    for column in GOOD[suite]:
        result = validate(suite, _frame(suite).drop(columns=column))
        assert (result.success, result.severity) == (False, "critical")
        assert all("the check itself broke" in f["reason"] for f in result.failures)
        assert {f["column"] for f in result.failures} == {column}


def test_no_row_passes_where_a_check_cannot_look() -> None:
    with pytest.raises(GateFailed, match="text_state"):
        failing_rows("submissions", _frame("submissions").drop(columns="text_state"))


def test_every_bad_row_is_named_with_all_its_reasons() -> None:
    frame = pd.concat([_frame("submissions")] * 10, ignore_index=True)
    frame.index += 100
    frame.loc[103, ["text", "text_state"]] = [None, "it has a control character"]
    frame.loc[110:139, "time_state"] = "'soon'"
    reasons = failing_rows("submissions", frame)
    assert list(reasons) == [103, *range(110, 140)]
    assert reasons[103] == [
        "the text is empty",
        "the text cannot be read: it has a control character",
    ]
    assert reasons[120][0].endswith("20261122: 'soon'")


def test_a_lenient_rule_names_no_row() -> None:
    frame = _frame("approved_mappings", "active", [False])
    assert broken_rules("approved_mappings", frame) == {}


def test_examples_are_a_few_of_the_failing_values() -> None:
    frame = pd.concat([_frame("submissions")] * 10, ignore_index=True)
    frame["time_state"] = [f"'{number}'" for number in range(40)]
    (failure,) = validate("submissions", frame).failures
    assert (failure["failing"], len(failure["examples"])) == (40, 20)
    assert failure["examples"][0] == "'0'"


@pytest.mark.parametrize("number", [199, 201, 5_000])
def test_every_failing_row_is_named_however_many_there_are(number: int) -> None:
    good = {"text": "a", "text_length": 1, "text_state": "ok", "time_state": "none"}
    rows = [
        {**good, "amount_state": "none", "target_state": f"'{n}' is unknown"} for n in range(number)
    ]
    found = failing_rows("submissions", pd.DataFrame(rows, index=range(7, number + 7)))
    assert len(found) == number
    assert found[number + 6] == [f"the target cannot be used: '{number - 1}' is unknown"]
