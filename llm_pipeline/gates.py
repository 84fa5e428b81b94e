"""Quality gates: Great Expectations suites and how they are run. Its only home.

A data rule is one line of a suite here; its Dagster asset check appears by itself. Each rule names
the column it looks at, how bad a failure is, and the reason a person reads. Great Expectations is
imported inside functions: it costs 6 s of CPU and 270 MB in processes that never use it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from llm_pipeline.domain.records import GateResult
from llm_pipeline.domain.text import MAX_TEXT_LENGTH
from llm_pipeline.errors import GateFailed

if TYPE_CHECKING:
    from great_expectations.datasource.fluent.interfaces import Batch

CRITICAL = "critical"
WARNING = "warning"
EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation: its Great Expectations class, its arguments and the reason it stands for."""

    expectation: str
    reason: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: str = CRITICAL


def _in(column: str, allowed: list[Any], reason: str, severity: str = CRITICAL) -> Rule:
    arguments = {"column": column, "value_set": allowed}
    return Rule("ExpectColumnValuesToBeInSet", reason, arguments, severity)


def _between(column: str, low: float | None, high: float | None, reason: str) -> Rule:
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule("ExpectColumnValuesToBeBetween", reason, arguments)


def _filled(column: str, reason: str) -> Rule:
    return Rule("ExpectColumnValuesToNotBeNull", reason, {"column": column})


def _unique(column: str, reason: str) -> Rule:
    return Rule("ExpectColumnValuesToBeUnique", reason, {"column": column})


def _at_least_rows(number: int, reason: str) -> Rule:
    return Rule("ExpectTableRowCountToBeBetween", reason, {"min_value": number})


def _distinct_at_least(column: str, number: int, reason: str, severity: str) -> Rule:
    arguments = {"column": column, "min_value": number}
    return Rule("ExpectColumnUniqueValueCountToBeBetween", reason, arguments, severity)


def _mostly_below(column: str, high: float, share: float, reason: str) -> Rule:
    arguments = {"column": column, "max_value": high, "mostly": share}
    return Rule("ExpectColumnValuesToBeBetween", reason, arguments, WARNING)


_SUBMISSION_RULES = (
    _filled("text", "the text is empty"),
    _between(
        "text_length", None, MAX_TEXT_LENGTH, f"the text is over {MAX_TEXT_LENGTH} characters"
    ),
    _in("text_state", ["ok"], "the text cannot be read"),
    _in("target_state", ["known", "none"], "the target cannot be used"),
    _in("time_state", ["ok", "none"], "the time is not a date such as 2026-11-22 or 20261122"),
    _in("amount_state", ["ok", "none"], "the amount is not a number such as 12.50"),
)

SUITES: dict[str, tuple[Rule, ...]] = {
    "submissions": _SUBMISSION_RULES,
    "approved_mappings": (
        _filled("target", "a live mapping points at no entry of the catalogue"),
        _in("active", [True], "a live mapping points at a retired target", WARNING),
        _unique("normalized", "a text has two live mappings"),
    ),
    "training_set": (
        _at_least_rows(2, "there are too few texts to learn from"),
        _filled("target", "a text has a target that the catalogue does not know"),
        _in("active", [True], "a text has a target that is retired or unknown"),
        _unique("normalized", "a text stands twice in the training set"),
        _between("text_length", 1, MAX_TEXT_LENGTH, "a text is empty or too long"),
        _distinct_at_least("target", 2, "there is only one target to choose from", WARNING),
    ),
    "predictions": (
        _between("probability", 0.0, 1.0, "a probability is outside 0 to 1"),
        _in("active", [True], "a suggestion points at a retired or unknown target"),
        _mostly_below("probability", 0.9999, 0.5, "most answers claim to be certain"),
    ),
}


def validate(suite: str, frame: pd.DataFrame) -> GateResult:
    """Check a frame against a suite.

    `frame` needs the columns that the suite's rules name; its index identifies the rows, and the
    failing ones are listed by it (the first 20 of each rule; `failing_rows` gives them all).
    """
    outcome = _run(suite, frame, "SUMMARY")
    failures = tuple(
        _failure(rule, result, frame)
        for rule, result in zip(SUITES[suite], outcome, strict=True)
        if not result["success"]
    )
    worst = CRITICAL if any(f["severity"] == CRITICAL for f in failures) else WARNING
    return GateResult(
        suite=suite,
        success=not any(failure["severity"] == CRITICAL for failure in failures),
        severity=worst if failures else "none",
        rows=len(frame),
        checks=len(SUITES[suite]),
        failures=failures,
    )


def failing_rows(suite: str, frame: pd.DataFrame) -> dict[Any, list[str]]:
    """Return the reasons of every row that breaks a critical rule, by its index in the frame.

    Raises GateFailed if a check could not run at all: a broken check must not pass rows.
    """
    reasons: dict[Any, list[str]] = {}
    for rule, result in zip(SUITES[suite], _run(suite, frame, "COMPLETE"), strict=True):
        if broken := _exception(result):
            raise GateFailed(f"the gate {suite} could not check {rule.arguments}: {broken}")
        if rule.severity == CRITICAL:
            detail = result["result"]
            for index in detail.get("unexpected_index_list") or ():
                # Not from `unexpected_list`: Great Expectations cuts that one at 200.
                value = frame.loc[index, rule.arguments["column"]]
                reasons.setdefault(index, []).append(_told(rule, value))
    return reasons


def _told(rule: Rule, value: object) -> str:
    # A state column says itself what is wrong with its row.
    is_state = str(rule.arguments.get("column", "")).endswith("_state")
    return f"{rule.reason}: {value}" if is_state else rule.reason


def _run(suite: str, frame: pd.DataFrame, detail: str) -> list[dict[str, Any]]:
    """One result per rule, in the suite's order."""
    batch = _batch(frame)
    wanted = {"result_format": detail, "return_unexpected_index_query": False}
    results = []
    for rule in SUITES[suite]:
        outcome = batch.validate(_expectation(rule), result_format=wanted)
        results.append(outcome.to_json_dict())
    return results


def _expectation(rule: Rule) -> Any:
    import great_expectations.expectations as gxe

    return getattr(gxe, rule.expectation)(**rule.arguments, severity=rule.severity)


def _batch(frame: pd.DataFrame) -> "Batch":
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    source = context.data_sources.add_pandas("frame")
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    return definition.get_batch(batch_parameters={"dataframe": frame})


def _failure(rule: Rule, result: dict[str, Any], frame: pd.DataFrame) -> dict[str, Any]:
    detail = result["result"]
    raised = _exception(result)
    return {
        "expectation": rule.expectation,
        "column": rule.arguments.get("column"),
        # A check that could not look must not let rows pass, however lenient its rule.
        "severity": CRITICAL if raised else rule.severity,
        "reason": f"the check itself broke: {raised}" if raised else rule.reason,
        "failing": detail.get("unexpected_count", len(frame)),
        "observed": detail.get("observed_value"),
        "examples": [str(value) for value in detail.get("partial_unexpected_list", [])[:EXAMPLES]],
    }


def _exception(result: dict[str, Any]) -> str:
    """A missing column is no exception in Great Expectations, but a note in the result."""
    info = result.get("exception_info") or {}
    notes = [info] if "raised_exception" in info else list(info.values())
    raised = [note["exception_message"] for note in notes if note.get("raised_exception")]
    return raised[0] if raised else ""
