"""The coming values of a series by statsmodels: levels, seasons, and series without any spread."""

import numpy as np
import pytest

from llm_pipeline.domain.forecast import SEASON, Scale, forecast
from llm_pipeline.forecasting import ahead


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_what_never_changed_goes_on(value: float) -> None:
    assert ahead([value] * 20, 4) == [value] * 4
    assert ahead([value] * 120, 4) == pytest.approx([value] * 4)


def test_a_level_that_moved_is_followed() -> None:
    assert ahead([1.0, 1.1] * 10 + [5.0, 5.1] * 10, 1)[0] == pytest.approx(5.05, abs=0.2)


def test_a_season_that_was_seen_twice_comes_again() -> None:
    year = np.sin(2 * np.pi * np.arange(SEASON) / SEASON)
    coming = ahead([*year, *year, *year[:20]], 4)
    assert coming == pytest.approx(year[20:24], abs=0.05)


def test_beats_a_year_before_on_seasons_with_a_growing_level() -> None:
    random = np.random.default_rng(5)
    weeks = np.arange(4 * SEASON)
    level = 6 + weeks / 200 + 0.4 * np.sin(2 * np.pi * weeks / SEASON)
    values = np.exp(level + random.normal(0, 0.1, len(weeks)))
    found = forecast(values.tolist(), Scale.COUNT, ahead)
    assert found is not None
    first = found.scores[0]
    assert first.mase is not None
    assert first.mase < 0.8
    assert first.coverage is not None
    assert 0.6 <= first.coverage <= 1.0
