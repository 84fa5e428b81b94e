"""Weekly volumes of a purchase-card stream forecast from rolling origins, by several methods.

Every method sees the same weeks, on the logarithmic scale that the product uses, and gets its
intervals from its own past errors in the product's way. From the repository:

    python benchmarks/forecasts.py DATA_FOLDER --out RESULTS_FOLDER
"""

import argparse
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.tsa.forecasting.theta import ThetaModel
from statsmodels.tsa.holtwinters import ExponentialSmoothing, SimpleExpSmoothing

from llm_pipeline.domain.forecast import SEASON, Ahead, Scale, forecast
from llm_pipeline.forecasting import ahead

SET = "toronto_pcard_2011_2018"
# The years that are complete: before are a few stray dates, after them a half-filled week.
FIRST, LAST = "2011-01-03", "2018-12-17"
LEARNED_FIRST = 2 * SEASON + 12


def weekly(folder: Path) -> list[int]:
    """Return the rows of each whole week."""
    dates = pd.read_parquet(folder / SET / "data.parquet", columns=["date"])["date"]
    weeks = pd.to_datetime(dates.dropna()).dt.to_period("W-SUN").dt.start_time
    counts = weeks.value_counts().sort_index().asfreq("7D", fill_value=0)
    return [int(number) for number in counts[FIRST:LAST]]


def as_a_year_before(history: Sequence[float], weeks: int) -> list[float]:
    return [history[len(history) - SEASON + week] for week in range(weeks)]


def as_the_last(history: Sequence[float], weeks: int) -> list[float]:
    return [history[-1]] * weeks


def mean_of_four(history: Sequence[float], weeks: int) -> list[float]:
    return [float(np.mean(history[-4:]))] * weeks


def smoothing(history: Sequence[float], weeks: int) -> list[float]:
    fitted = SimpleExpSmoothing(np.asarray(history), initialization_method="estimated").fit()
    return list(fitted.forecast(weeks))


def holt_winters(history: Sequence[float], weeks: int) -> list[float]:
    model = ExponentialSmoothing(
        np.asarray(history),
        seasonal="add",
        seasonal_periods=SEASON,
        initialization_method="heuristic",
    )
    return list(model.fit().forecast(weeks))


def theta(history: Sequence[float], weeks: int) -> list[float]:
    dated = pd.Series(history, pd.period_range("2000-01-03", periods=len(history), freq="W"))
    model = ThetaModel(dated, period=SEASON, use_test=False, method="additive")
    return list(model.fit().forecast(weeks))


METHODS: dict[str, Ahead] = {
    "as a year before (seasonal naive)": as_a_year_before,
    "as the last week (naive)": as_the_last,
    "mean of four weeks": mean_of_four,
    "exponential smoothing": smoothing,
    "theta": theta,
    "Holt-Winters": holt_winters,
    "**season by STL, level by exponential smoothing: ours**": ahead,
}


def measured(values: Sequence[int]) -> list[str]:
    lines = [
        "| method | MASE, 1 week ahead | 4 weeks | mean error | 80 % held, 1 week | 4 weeks "
        "| ms a forecast |",
        "|---|---|---|---|---|---|---|",
    ]
    tested = len(values) - LEARNED_FIRST
    for name, method in METHODS.items():
        began = time.process_time()
        found = forecast(values, Scale.COUNT, method, tested)
        milliseconds = (time.process_time() - began) / (tested + 1) * 1000
        if found is None:
            raise SystemExit(f"{len(values)} weeks are too few")
        near, far = found.scores[0], found.scores[-1]
        lines.append(
            f"| {name} | {near.mase:.3f} | {far.mase:.3f} | {near.mean_error:.0f} "
            f"| {near.coverage:.1%} | {far.coverage:.1%} | {milliseconds:.0f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of peers that have not converged
    values = weekly(given.data)
    told = [
        f"{sum(values):,} rows in {len(values)} weeks; each of the last "
        f"{len(values) - LEARNED_FIRST} was forecast from those before it.",
        "",
        *measured(values),
    ]
    print("\n".join(told))
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "forecasts.md").write_text("\n".join(["# Forecasts", "", *told, ""]))


if __name__ == "__main__":
    main()
