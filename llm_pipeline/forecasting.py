"""The next values of a series, by statsmodels: a level that moves, times the season where two years
of it are known.

Of what was tried on eight years of weekly volumes this was the nearest; `benchmarks/forecasts.py`
shows the others.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llm_pipeline.domain.forecast import SEASON

# The seasonal part is smoothed over so many years; statsmodels' default.
_YEARS = 7


def ahead(history: Sequence[float], weeks: int) -> list[float]:
    """Return the values expected in the coming weeks, oldest first."""
    values = np.asarray(history, dtype=float)
    season = _season(values) if len(values) >= 2 * SEASON else np.zeros(len(values))
    level = _level(values - season)
    # A year before the end, the season was where the coming weeks are.
    coming = [season[len(values) - SEASON + week] for week in range(weeks)] if season.any() else []
    return [level + (float(coming[week]) if coming else 0.0) for week in range(weeks)]


def _season(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # A third of a second to import, and only who forecasts needs it.
    from statsmodels.tsa.seasonal import STL

    return np.asarray(STL(values, period=SEASON, seasonal=_YEARS).fit().seasonal)


def _level(values: NDArray[np.float64]) -> float:
    """Return where simple exponential smoothing ends, its weight being the best in hindsight."""
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import SimpleExpSmoothing

    if np.ptp(values) == 0:
        return float(values[-1])  # nothing to estimate, and statsmodels divides by the spread
    with warnings.catch_warnings():
        # What has not converged is a level all the same, and the past tells how good it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = SimpleExpSmoothing(values, initialization_method="estimated").fit()
    return float(fitted.forecast(1)[0])
