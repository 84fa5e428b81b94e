"""A plain forecast of weekly counts, with an interval from its own past errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

WINDOW = 4
SHORTEST_HISTORY = 12


@dataclass(frozen=True, slots=True)
class WeeklyForecast:
    """Next week's count, the interval that held 80 % of past errors, and how past forecasts did.

    `mean_error` and `naive_error` are mean absolute errors of this forecast and of "as last week"
    over the same past weeks.
    """

    expected: float
    low: float
    high: float
    mean_error: float
    naive_error: float
    tested_weeks: int


def forecast_week(counts: Sequence[int]) -> WeeklyForecast | None:
    """Forecast the week after `counts` as the mean of the last four; None if under 12 weeks.

    Every week from the fifth on was forecast from the four before it; the interval adds the 10 %
    and 90 % quantiles of those errors to the forecast.

    >>> forecast_week([5] * 12)
    WeeklyForecast(expected=5.0, low=5.0, high=5.0, mean_error=0.0, naive_error=0.0, tested_weeks=8)
    """
    if len(counts) < SHORTEST_HISTORY:
        return None
    weeks = range(WINDOW, len(counts))
    errors = [counts[week] - fmean(counts[week - WINDOW : week]) for week in weeks]
    naive = [counts[week] - counts[week - 1] for week in weeks]
    tenths = quantiles(errors, n=10, method="inclusive")
    expected = fmean(counts[-WINDOW:])
    return WeeklyForecast(
        expected=expected,
        low=max(0.0, expected + tenths[0]),
        high=expected + tenths[-1],
        mean_error=fmean(map(abs, errors)),
        naive_error=fmean(map(abs, naive)),
        tested_weeks=len(errors),
    )
