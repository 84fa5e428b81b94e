"""Limits of numbers that others measure."""

import math
from dataclasses import dataclass
from typing import Literal

from llm_pipeline.errors import InvalidInput

Severity = Literal["warning", "critical"]
ALERT_RULE = "metric_out_of_limits"


@dataclass(frozen=True, slots=True)
class Limit:
    """Between which ends a number is well, and how bad it is outside of them.

    >>> Limit(high=90.0).broken_by(95.5)
    '95.5 is above 90'
    >>> Limit(low=0.0, high=90.0).broken_by(90.0)
    """

    low: float | None = None
    high: float | None = None
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        if not ends:
            raise InvalidInput("a limit needs `min`, `max` or both")
        if not all(map(math.isfinite, ends)):
            raise InvalidInput("the ends of a limit are finite numbers; leave out what has no end")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise InvalidInput(f"`min` {self.low:g} is above `max` {self.high:g}")

    def broken_by(self, value: float) -> str | None:
        """Return how a value is outside, None if it is not."""
        if self.high is not None and value > self.high:
            return f"{value:g} is above {self.high:g}"
        if self.low is not None and value < self.low:
            return f"{value:g} is below {self.low:g}"
        return None

    def explain(self) -> str:
        """Return the limit in words.

        >>> Limit(0.0, 90.0, "critical").explain()
        'from 0 to 90, else critical'
        """
        low = "" if self.low is None else f"from {self.low:g}"
        high = "" if self.high is None else f"to {self.high:g}"
        return f"{' '.join(filter(None, (low, high)))}, else {self.severity}"
