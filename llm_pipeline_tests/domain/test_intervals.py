"""Intervals of shares."""

import pytest
from scipy.stats import binomtest, norm

from llm_pipeline.domain.intervals import Z95, wilson


@pytest.mark.parametrize(("right", "rows"), [(0, 5), (5, 5), (37, 50), (1, 1)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_agree_with_scipy(right: int, rows: int, confidence: float) -> None:
    expected = binomtest(right, rows).proportion_ci(confidence, method="wilson")
    found = wilson(right / rows, rows, float(norm.ppf((1 + confidence) / 2)))
    assert found == pytest.approx((expected.low, expected.high))


def test_an_interval_is_one_of_95_percent_and_knows_nothing_of_nothing() -> None:
    assert pytest.approx(norm.ppf(0.975)) == Z95
    assert wilson(0.4, 10) == wilson(0.4, 10, Z95)
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_an_interval_holds_the_share_and_narrows() -> None:
    for trials in (10.5, 100.5, 1000.5):
        low, high = wilson(0.5, trials)
        assert low < 0.5 < high
    assert high - low < 0.07
