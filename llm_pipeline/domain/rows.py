"""What a row of a file means: its submission, and the states the gate looks at. Pure functions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite

from llm_pipeline.domain.records import Source, Submission
from llm_pipeline.domain.text import text_problem


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a file hold what; all others travel along as `extra`."""

    text: str = "text"
    target: str = "target"
    time: str = "time"
    amount: str = "amount"
    note: str = "note"

    def named(self) -> tuple[str, ...]:
        return (self.text, self.target, self.time, self.amount, self.note)


@dataclass(frozen=True, slots=True)
class KnownTargets:
    """The catalogue as a row sees it: ids of the keys in use, and the keys that are retired."""

    ids: Mapping[str, int]
    retired: frozenset[str]


@dataclass(frozen=True, slots=True)
class ParsedRow:
    """A row as a submission, and what the gate looks at: values and `*_state` columns, which are
    `ok`, `none` or `known` for a good row, and say what is wrong with a bad one."""

    submission: Submission
    states: dict[str, object]


def parse_row(
    values: Mapping[str, str],
    columns: Columns,
    known: KnownTargets,
    submitter: str,
    *,
    needs_target: bool,
) -> ParsedRow:
    """Turn the cells of a row into a submission; nothing is raised, problems go into the states."""
    text = values.get(columns.text, "").strip()
    target = values.get(columns.target, "").strip() or None
    when, time_state = _time(values.get(columns.time, "").strip())
    amount, amount_state = _amount(values.get(columns.amount, "").strip())
    submission = Submission(
        text=text,
        target=target,
        note=values.get(columns.note, "").strip(),
        source=Source.UPLOAD,
        submitter=submitter,
        occurred_at=when,
        amount=amount,
        extra={name: cell for name, cell in values.items() if name not in columns.named() and cell},
    )
    states: dict[str, object] = {
        "text": text or None,
        "text_length": len(text),
        "text_state": (text_problem(text) or "ok") if text else "ok",
        "target_state": _target_state(target, known, needs_target=needs_target),
        "time_state": time_state,
        "amount_state": amount_state,
    }
    return ParsedRow(submission, states)


def _target_state(target: str | None, known: KnownTargets, *, needs_target: bool) -> str:
    if target is None:
        return "it is empty" if needs_target else "none"
    if target in known.ids:
        return "known"
    why = "is retired" if target in known.retired else "is not in the catalogue"
    return f"{target[:80]!r} {why}"


_TIME_FORMATS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}


# Times repeat from row to row, and reading one costs as much as all the rest of a row.
@lru_cache(maxsize=65_536)
def _time(value: str) -> tuple[datetime | None, str]:
    """Read an ISO 8601 time, or a year, month or day in digits; without a zone it is UTC."""
    if not value:
        return None, "none"
    try:
        if value.isdigit() and len(value) in _TIME_FORMATS:
            when = datetime.strptime(value, _TIME_FORMATS[len(value)]).replace(tzinfo=UTC)
        else:
            when = datetime.fromisoformat(value)
        return (when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)), "ok"
    except (ValueError, OverflowError):  # 0001-01-01 east of Greenwich is before all time
        return None, repr(value[:40])


# A comma before anything but three digits is a decimal comma: 12,50 must not become 1250.
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")


def _amount(value: str) -> tuple[float | None, str]:
    if not value:
        return None, "none"
    try:
        amount = float(_THOUSANDS.sub("", value))
    except ValueError:
        return None, repr(value[:40])
    return (amount, "ok") if isfinite(amount) else (None, repr(value[:40]))
