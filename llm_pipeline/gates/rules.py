"""Rules: one Great Expectations expectation each, with how bad a failure is and its reason.

The suites that are made of them are in `suites`, running them in `running`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CRITICAL = "critical"
WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation: its Great Expectations class, its arguments and the reason it stands for."""

    expectation: str
    reason: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    severity: str = CRITICAL

    @property
    def column(self) -> str:
        return str(self.arguments["column"])


def within(column: str, allowed: list[Any], reason: str, severity: str = CRITICAL) -> Rule:
    """Every value is one of those allowed."""
    arguments = {"column": column, "value_set": allowed}
    return Rule("ExpectColumnValuesToBeInSet", reason, arguments, severity)


def between(
    column: str, low: float | None, high: float | None, reason: str, severity: str = CRITICAL
) -> Rule:
    """Every value is between two limits, themselves allowed; None is none."""
    arguments = {"column": column, "min_value": low, "max_value": high}
    return Rule("ExpectColumnValuesToBeBetween", reason, arguments, severity)


def filled(column: str, reason: str) -> Rule:
    """No value is missing."""
    return Rule("ExpectColumnValuesToNotBeNull", reason, {"column": column})


def unique(column: str, reason: str) -> Rule:
    """No value stands twice."""
    return Rule("ExpectColumnValuesToBeUnique", reason, {"column": column})


def mostly_below(column: str, high: float, share: float, reason: str) -> Rule:
    """At least `share` of the values are up to a limit."""
    arguments = {"column": column, "max_value": high, "mostly": share}
    return Rule("ExpectColumnValuesToBeBetween", reason, arguments, WARNING)
