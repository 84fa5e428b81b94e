"""What may be said of the coming weeks: forecasts, intervals from past errors, and how they did.

How values are expected is for the caller to say (`Ahead`); here every method is tried on the past
in the same way, from rolling origins: each forecast knows only what came before it.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Any

SEASON = 52  # weeks
AHEAD = 4
LEARNED = 12  # weeks before the first that is forecast
TESTED = 52  # forecasts in the past, at most: the newest tell how it does now
# Of nine past errors the smallest and the largest hold 80 % between them.
ERRORS_NEEDED = 9
# So many weeks, or nothing is said: intervals need errors, and some to be tested on.
SHORTEST_HISTORY = LEARNED + 2 * ERRORS_NEEDED

Ahead = Callable[[Sequence[float], int], Sequence[float]]


class Scale(StrEnum):
    """Counts grow by factors and shares by differences: errors are counted accordingly."""

    COUNT = "count"
    SHARE = "share"

    def inner(self, value: float) -> float:
        return math.log1p(value) if self is Scale.COUNT else value

    def outer(self, value: float) -> float:
        if self is Scale.COUNT:
            return max(0.0, math.expm1(min(value, 100.0)))
        return min(1.0, max(0.0, value))


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected some weeks after the last one known, and between which ends with 80 %."""

    ahead: int
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """How forecasts so many weeks ahead did on past weeks.

    `mase` is the mean error divided by that of "as a year before" over the same weeks, None where
    no year is known; `versus_last` by that of "as the last week". `coverage` is the share of weeks
    that came within an interval which was made before, over `intervals` of them.
    """

    ahead: int
    tested: int
    mean_error: float
    mase: float | None
    versus_last: float | None
    coverage: float | None
    intervals: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The coming weeks, and how the same method did."""

    weeks: tuple[Expected, ...]
    scores: tuple[Score, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "weeks": [asdict(week) for week in self.weeks],
            "scores": [asdict(score) for score in self.scores],
        }


def forecast(
    values: Sequence[float], scale: Scale, expect: Ahead, tested: int = TESTED
) -> Forecast | None:
    """Forecast the weeks after `values`; None if they are fewer than `SHORTEST_HISTORY`."""
    if len(values) < SHORTEST_HISTORY:
        return None
    inner = [scale.inner(value) for value in values]
    origins = range(max(LEARNED, len(inner) - tested), len(inner))
    past = {origin: list(expect(inner[:origin], AHEAD)) for origin in origins}
    now = expect(inner, AHEAD)
    weeks, scores = [], []
    for step in range(AHEAD):
        told = {origin: found[step] for origin, found in past.items() if origin + step < len(inner)}
        errors = [inner[origin + step] - one for origin, one in told.items()][-TESTED:]
        low, high = interval(errors) or (-math.inf, math.inf)
        ends = (now[step] + _lag(errors), now[step] + low, now[step] + high)
        weeks.append(Expected(step + 1, *(scale.outer(one) for one in ends)))
        scores.append(_score(values, inner, told, step, scale))
    return Forecast(tuple(weeks), tuple(scores))


def interval(errors: Sequence[float]) -> tuple[float, float] | None:
    """Return between which ends the next error falls with 80 %, None if there are under nine.

    The ranks are those of split conformal prediction: they hold whatever the errors' distribution.

    >>> interval([1, 2, 3, 4, 5, 6, 7, 8, 9])
    (1, 9)
    """
    number = len(errors)
    out = (number + 1) // 10  # a tenth on each side
    if out < 1:
        return None
    ordered = sorted(errors)
    return ordered[out - 1], ordered[number - out]


def _lag(errors: Sequence[float]) -> float:
    """Return what the next forecast is moved by: what past ones missed, if nine in ten of them
    missed to the same side, as a level does behind what grows. To move always by it made weekly
    volumes of eight years 3 % worse.

    >>> _lag([3.0, 1.0, 2.0, 1.0, 2.0, 2.0, 1.0, 3.0, 2.0])
    2.0
    >>> _lag([3.0, -1.0, 2.0, 1.0, 2.0, 2.0, 1.0, 3.0, 2.0])
    0.0
    """
    low, high = interval(errors) or (0.0, 0.0)
    return 0.0 if low <= 0 <= high else median(errors)


def _score(
    values: Sequence[float], inner: Sequence[float], told: dict[int, float], step: int, scale: Scale
) -> Score:
    year = [
        abs(values[at + step] - values[at + step - SEASON]) for at in told if at + step >= SEASON
    ]
    last = [abs(values[at + step] - values[at - 1]) for at in told]
    errors: list[float] = []
    inside: list[bool] = []
    off: list[float] = []
    for at, one in told.items():
        # Known by then are the errors of weeks that had come.
        known = errors[: max(0, len(errors) - step)][-TESTED:]
        ends = interval(known)
        error = inner[at + step] - one
        off.append(abs(values[at + step] - scale.outer(one + _lag(known))))
        if ends is not None:
            inside.append(ends[0] <= error <= ends[1])
        errors.append(error)
    mean_error = _mean(off)
    return Score(
        ahead=step + 1,
        tested=len(told),
        mean_error=mean_error,
        mase=_ratio(mean_error, year) if len(year) == len(told) else None,
        versus_last=_ratio(mean_error, last),
        coverage=fmean(inside) if inside else None,
        intervals=len(inside),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return fmean(found) if found else 0.0


def _ratio(error: float, others: Sequence[float]) -> float | None:
    naive = _mean(others)
    return error / naive if naive else None
