"""Columns beside a text that may speak for a target, as tokens: `gl_desc=parts`, `amount=4`.

Which columns those are is the catalogue's owner's choice; whether they help is tested by `model`.
"""

import math
from collections.abc import Mapping

from llm_pipeline.domain.text import normalize

Extra = Mapping[str, str | float | None]
Tokens = tuple[str, ...]

AMOUNT, SOURCE, MONTH = "amount", "source", "month"
BUILT_IN = (AMOUNT, SOURCE, MONTH)  # columns that every submission may have, besides its own
BANDS = 2  # of amounts, in each power of ten


def column_names(listed: str) -> tuple[str, ...]:
    """Return the names of a list with commas, each once.

    >>> column_names("gl_desc, amount,,amount")
    ('gl_desc', 'amount')
    """
    return tuple(dict.fromkeys(name for part in listed.split(",") if (name := part.strip())))


def tokens(extra: Extra | None) -> Tokens:
    """Return what columns say, sorted; an empty value says nothing.

    >>> tokens({"gl_desc": "PARTS", "amount": -95.0, "month": None})
    ('amount=-4', 'gl_desc=parts')
    """
    said = ((name, _said(name, value)) for name, value in (extra or {}).items())
    return tuple(sorted(f"{name}={value}" for name, value in said if value))


def _said(name: str, value: str | float | None) -> str:
    if value is None:
        return ""
    return _band(value) if name == AMOUNT else normalize(str(value))


def _band(value: str | float) -> str:
    """Return the sign and the order of magnitude of an amount."""
    try:
        amount = float(value)
    except ValueError:
        return ""
    if not math.isfinite(amount):
        return ""
    band = round(BANDS * math.log10(max(abs(amount), 1.0)))
    return f"-{band}" if amount < 0 else str(band)
