"""What a replay counts, period by period, and what that comes to."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

YEAR = 12  # periods that the error is held over


@dataclass(frozen=True, slots=True)
class Line:
    """One period of one policy.

    A decision is an answer a person gave for a group shown: one for each different target in it.
    `automatic` rows were approved without one, `wrong` of them wrongly, and `standing` of those are
    in groups that no audit put right. `shown_rows` were answered by people.
    """

    period: str
    rows: int
    decisions: int
    audits: int
    automatic: int
    wrong: int
    standing: int
    limit: float | None = None
    bound: float | None = None
    share: float = 0.0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """A replay in numbers: decisions and audits per 1,000 rows, shares of rows, worst of every
    `YEAR` periods in a row."""

    policy: str
    decisions: float
    audits: float
    automatic: float
    wrong: float
    worst_wrong: float
    standing: float
    worst_standing: float
    second_half: float
    stops: int


def as_table(lines: Sequence[Line]) -> pd.DataFrame:
    return pd.DataFrame([{name: getattr(line, name) for name in Line.__slots__} for line in lines])


def summed(policy: str, lines: Sequence[Line]) -> Summary:
    """Return what the lines of one policy come to."""
    table = as_table(lines)
    rows, late = table["rows"].sum(), table.iloc[len(table) // 2 :]
    automatic = max(table["automatic"].sum(), 1)
    started = table["stopped"] & ~table["stopped"].shift(fill_value=False)
    return Summary(
        policy,
        decisions=1000 * table["decisions"].sum() / rows,
        audits=1000 * table["audits"].sum() / rows,
        automatic=table["automatic"].sum() / rows,
        wrong=table["wrong"].sum() / automatic,
        worst_wrong=float(yearly(table, "wrong").max()),
        standing=table["standing"].sum() / automatic,
        worst_standing=float(yearly(table, "standing").max()),
        second_half=1000 * late["decisions"].sum() / max(late["rows"].sum(), 1),
        stops=int(started.sum()),
    )


def yearly(table: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return the share of automatic rows over every `YEAR` periods in a row, or all if fewer."""
    sums = table[[column, "automatic"]].rolling(min(YEAR, len(table))).sum()
    return (sums[column] / sums["automatic"].clip(lower=1)).dropna()
