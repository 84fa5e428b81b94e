"""What a gate looks at beside single rows, and the rows that it names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# Rows that are listed of each rule; how many there are in all is told beside.
LISTED = 10_000


@dataclass(frozen=True, slots=True)
class FailingRow:
    """A row that broke a rule: what kind it is (`mapping`, `submission`, `key`, ...), its key
    there, why, how bad that is, and the value that broke it."""

    kind: str
    key: str
    reason: str
    severity: str
    value: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A row that a figure counts."""

    kind: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers about all rows together, None where they cannot be told yet; and for a figure that
    counts something, what it counted."""

    values: Mapping[str, float | None]
    listed: Mapping[str, Sequence[Listed]] = field(default_factory=dict)
