"""Forecasts from rolling origins: what each knows, its interval, and how it is scored."""

from collections.abc import Sequence

import pytest

from llm_pipeline.domain.forecast import (
    AHEAD,
    SEASON,
    SHORTEST_HISTORY,
    Scale,
    forecast,
    interval,
)


def last(history: Sequence[float], weeks: int) -> list[float]:
    return [history[-1]] * weeks


def test_nothing_is_said_of_too_short_a_history() -> None:
    assert forecast([5.0] * (SHORTEST_HISTORY - 1), Scale.COUNT, last) is None
    assert forecast([5.0] * SHORTEST_HISTORY, Scale.COUNT, last) is not None


def test_no_forecast_of_the_past_knows_what_came_after_it() -> None:
    values = [float(week % 7) for week in range(60)]
    asked: list[int] = []

    def cheat(history: Sequence[float], weeks: int) -> list[float]:
        asked.append(len(history))
        assert list(history) == [Scale.SHARE.inner(v) for v in values[: len(history)]]
        return last(history, weeks)

    forecast(values, Scale.SHARE, cheat)
    assert sorted(asked) == list(range(12, 61))


def test_errors_are_those_of_as_many_weeks_ahead_until_nine_are_known_to_be_a_lag() -> None:
    found = forecast([week / 100 for week in range(40)], Scale.SHARE, last)
    assert found is not None
    lagging = [9 / 28, 10 / 27, 11 / 26, 12 / 25]
    assert [score.mean_error for score in found.scores] == pytest.approx(
        [share * step / 100 for step, share in enumerate(lagging, 1)]
    )
    assert [score.versus_last for score in found.scores] == pytest.approx(lagging)
    assert [week.expected for week in found.weeks] == pytest.approx([0.40, 0.41, 0.42, 0.43])
    assert all(week.low <= week.expected <= week.high for week in found.weeks)
    assert [score.tested for score in found.scores] == [28, 27, 26, 25]
    # Only what had come by then made the intervals: at first there are none.
    assert [score.intervals for score in found.scores] == [19, 17, 15, 13]


def test_is_compared_with_a_year_before_where_a_year_is_known() -> None:
    year = [float(week) for week in range(SEASON)]
    short = forecast(year, Scale.COUNT, last)
    long = forecast(year * 2 + [3.0], Scale.COUNT, last)
    assert short is not None
    assert long is not None
    assert short.scores[0].mase is None
    # Each week is as a year before but the last one, which would have been 0.
    assert long.scores[0].mase == pytest.approx(long.scores[0].mean_error / (3 / 52))


@pytest.mark.parametrize(
    ("number", "ends"), [(8, None), (9, (1, 9)), (18, (1, 18)), (19, (2, 18)), (52, (5, 48))]
)
def test_an_interval_leaves_a_tenth_out_on_each_side(
    number: int, ends: tuple[int, int] | None
) -> None:
    assert interval(list(range(number, 0, -1))) == ends


def test_an_interval_of_counts_grows_with_them_and_never_goes_below_zero() -> None:
    falling = [max(0.0, 100.0 - 3 * week) for week in range(40)]
    found = forecast(falling, Scale.COUNT, last)
    assert found is not None
    assert all(0 == week.low <= week.expected <= week.high for week in found.weeks)
    assert [week.ahead for week in found.weeks] == list(range(1, AHEAD + 1))


def test_a_share_stays_a_share() -> None:
    found = forecast([0.5, 1.0] * 30, Scale.SHARE, last)
    assert found is not None
    assert all(0 <= week.low <= week.high <= 1 for week in found.weeks)
