from datetime import UTC, datetime, timedelta, timezone

import pytest

from llm_pipeline.domain.rows import KnownTargets, read_amount, read_time


@pytest.mark.parametrize(
    ("key", "problem"),
    [("FB", "'FB' is retired"), ("sbux", "'sbux' is not in the catalogue")],
)
def test_a_target_that_is_not_in_use_says_why(key: str, problem: str) -> None:
    assert KnownTargets({"SBUX": 1}, frozenset({"FB"})).problem(key) == problem


@pytest.mark.parametrize(
    ("value", "when"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("20261122", datetime(2026, 11, 22, tzinfo=UTC)),
        ("202611", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-11-22T10:00:00+02:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
        ("2026-11-22 10:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(value: str, when: datetime) -> None:
    assert read_time(value) == (when, "ok")


@pytest.mark.parametrize(
    "value", ["yesterday", "20261322", "22.11.2026", "²²²²", "0001-01-01T00:00:00+14:00"]
)
def test_a_bad_time_is_named(value: str) -> None:
    assert read_time(value) == (None, repr(value))


@pytest.mark.parametrize(
    ("value", "amount"),
    [("12.50", 12.5), ("-1,234.5", -1234.5), ("1,234,567", 1234567.0), ("0", 0.0)],
)
def test_amounts_may_have_thousands_separators(value: str, amount: float) -> None:
    assert read_amount(value) == (amount, "ok")


@pytest.mark.parametrize("value", ["12,50", "twelve", "nan", "inf", "1e999", "$5"])
def test_a_bad_amount_is_named(value: str) -> None:
    assert read_amount(value) == (None, repr(value))


def test_an_empty_cell_is_no_time_and_no_amount() -> None:
    assert read_time("") == read_amount("") == (None, "none")


def test_a_zone_survives_as_an_instant() -> None:
    when, _ = read_time("2026-01-01T00:00:00-05:00")
    assert when == datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5)))
