from random import Random

import pytest
from scipy.stats import binom

from llm_pipeline.domain.watch import Watch


def _outcomes(seed: int, chance: float, number: int) -> list[bool]:
    lot = Random(seed)  # noqa: S311
    return [lot.random() < chance for _ in range(number)]


def test_trips_no_more_often_than_the_alarm_allows_however_long_it_is_looked_at() -> None:
    false_alarms = sum(
        Watch(0.02, 0.05).after(_outcomes(seed, 0.02, 2000)).tripped for seed in range(200)
    )
    assert false_alarms <= binom.ppf(0.999, 200, 0.05)


@pytest.mark.parametrize("max_error", [0.01, 0.02, 0.05])
def test_finds_a_source_that_turns_a_fifth_wrong_within_300_audits(max_error: float) -> None:
    for seed in range(100):
        assert Watch(max_error).after(_outcomes(seed, 0.2, 300)).tripped


def test_stays_where_it_tripped() -> None:
    watch = Watch(0.02).after([True] * 5)
    assert watch.after([False] * 1000) == watch


def test_a_watch_without_audits_says_nothing() -> None:
    assert Watch(0.02).evidence == pytest.approx(1)
