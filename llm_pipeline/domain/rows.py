"""What the cells of a row mean, and what is wrong with them. Pure functions of one cell each."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from math import isfinite

OK, NONE, KNOWN = "ok", "none", "known"
EMPTY = "it is empty"


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

    def chosen(self) -> tuple[str, ...]:
        """Return the columns that somebody named, which a file must therefore have.

        >>> Columns(target="code", note="").chosen()
        ('code',)
        """
        usual = [field.default for field in fields(self)]
        pairs = zip(self.named(), usual, strict=True)
        return tuple(name for name, default in pairs if name not in ("", default))


@dataclass(frozen=True, slots=True)
class KnownTargets:
    """The catalogue as a row sees it: ids of the keys in use, and the keys that are retired."""

    ids: Mapping[str, int]
    retired: frozenset[str]

    def problem(self, key: str) -> str:
        """Say why a key that is not in use cannot be a target."""
        why = "is retired" if key in self.retired else "is not in the catalogue"
        return f"{key[:80]!r} {why}"


_TIME_FORMATS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}


def read_time(value: str) -> tuple[datetime | None, str]:
    """Read an ISO 8601 time, or a year, month or day in digits; without a zone it is UTC.

    Beside it stands the state that the gate looks at: `ok`, `none`, or what cannot be read.

    >>> read_time("202611")[0].isoformat()
    '2026-11-01T00:00:00+00:00'
    >>> read_time("yesterday")
    (None, "'yesterday'")
    """
    if not value:
        return None, NONE
    try:
        if value.isdigit() and len(value) in _TIME_FORMATS:
            when = datetime.strptime(value, _TIME_FORMATS[len(value)]).replace(tzinfo=UTC)
        else:
            when = datetime.fromisoformat(value)
        return (when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)), OK
    except (ValueError, OverflowError):  # 0001-01-01 east of Greenwich is before all time
        return None, repr(value[:40])


# A comma before anything but three digits is a decimal comma: 12,50 must not become 1250.
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")


def read_amount(value: str) -> tuple[float | None, str]:
    """Read a number with or without thousands separators, and its state as in `read_time`.

    >>> read_amount("1,234.50"), read_amount("12,50")
    ((1234.5, 'ok'), (None, "'12,50'"))
    """
    if not value:
        return None, NONE
    try:
        amount = float(_THOUSANDS.sub("", value))
    except ValueError:
        return None, repr(value[:40])
    return (amount, OK) if isfinite(amount) else (None, repr(value[:40]))
