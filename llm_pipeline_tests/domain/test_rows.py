from datetime import UTC, datetime, timedelta, timezone

import pytest

from llm_pipeline.domain.rows import Columns, KnownTargets, ParsedRow, parse_row

KNOWN = KnownTargets({"SBUX": 1}, frozenset({"FB"}))


def _parsed(*, needs_target: bool = False, **cells: str) -> ParsedRow:
    return parse_row(cells, Columns(), KNOWN, "ann", needs_target=needs_target)


def test_a_row_becomes_a_submission_and_the_rest_travels_along() -> None:
    row = _parsed(text=" BLUE ", target="SBUX", note=" n ", amount="12.5", shop="4", empty="")
    said = row.submission
    assert (said.text, said.target, said.note, said.submitter) == ("BLUE", "SBUX", "n", "ann")
    assert (said.amount, said.extra) == (12.5, {"shop": "4"})
    assert row.states == {
        "text": "BLUE",
        "text_length": 4,
        "text_state": "ok",
        "target_state": "known",
        "time_state": "none",
        "amount_state": "ok",
    }


def test_columns_can_have_other_names() -> None:
    columns = Columns(text="vendor", target="code")
    row = parse_row(
        {"vendor": "x", "code": "SBUX", "text": "y"}, columns, KNOWN, "", needs_target=True
    )
    assert (row.submission.text, row.submission.target) == ("x", "SBUX")
    assert row.submission.extra == {"text": "y"}


@pytest.mark.parametrize(
    ("target", "needed", "state"),
    [
        ("SBUX", True, "known"),
        ("", False, "none"),
        ("", True, "it is empty"),
        ("FB", False, "'FB' is retired"),
        ("sbux", False, "'sbux' is not in the catalogue"),
    ],
)
def test_a_target_is_known_or_says_why_not(target: str, needed: bool, state: str) -> None:
    assert _parsed(text="x", target=target, needs_target=needed).states["target_state"] == state


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
    row = _parsed(text="x", time=value)
    assert (row.submission.occurred_at, row.states["time_state"]) == (when, "ok")


@pytest.mark.parametrize(
    "value", ["yesterday", "20261322", "22.11.2026", "²²²²", "0001-01-01T00:00:00+14:00"]
)
def test_a_bad_time_is_named(value: str) -> None:
    row = _parsed(text="x", time=value)
    assert (row.submission.occurred_at, row.states["time_state"]) == (None, repr(value))


@pytest.mark.parametrize(
    ("value", "amount"),
    [("12.50", 12.5), ("-1,234.5", -1234.5), ("1,234,567", 1234567.0), ("0", 0.0)],
)
def test_amounts_may_have_thousands_separators(value: str, amount: float) -> None:
    row = _parsed(text="x", amount=value)
    assert (row.submission.amount, row.states["amount_state"]) == (amount, "ok")


@pytest.mark.parametrize("value", ["12,50", "twelve", "nan", "inf", "1e999", "$5"])
def test_a_bad_amount_is_named(value: str) -> None:
    row = _parsed(text="x", amount=value)
    assert (row.submission.amount, row.states["amount_state"]) == (None, repr(value))


def test_a_zone_survives_as_an_instant() -> None:
    when = _parsed(text="x", time="2026-01-01T00:00:00-05:00").submission.occurred_at
    assert when == datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5)))
