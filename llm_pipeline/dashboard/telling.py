"""Events as a line for people: which of their facts matter, and in what words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llm_pipeline.store.log import LoggedEvent

# Facts in this order come first; ids and empty ones are left to the event's own page.
_FIRST = ("filename", "text", "suite", "kind", "action", "target", "version", "message", "verdict")
_MOST = 5


@dataclass(frozen=True, slots=True)
class Told:
    """One event for a list: its facts in a line."""

    offset: int
    name: str
    at: datetime
    actor: str
    told: str


def told(events: Sequence[LoggedEvent]) -> list[Told]:
    """Return events as lines."""
    return [
        Told(event.offset, event.name, event.at, event.actor, line(event.actor, event.payload))
        for event in events
    ]


def line(actor: str, payload: dict[str, Any]) -> str:
    """Return who did something, and its main facts.

    >>> line("ann", {"rows": 1200, "mapping_id": 7, "text": "SHOP", "target": None})
    'ann · SHOP · 1,200 rows'
    >>> line("ann", {"rows": 1, "new_mappings": 1})
    'ann · 1 row · 1 new mapping'
    """
    first = [payload[name] for name in _FIRST if payload.get(name)]
    rest = _counts(
        (name, value)
        for name, value in payload.items()
        if name not in _FIRST and not name.endswith("_id")
    )
    return " · ".join(map(str, [actor, *first, *rest][: _MOST + 1]))


def _counts(facts: Iterable[tuple[str, Any]]) -> list[str]:
    found = []
    for name, value in facts:
        words = name.replace("_", " ")
        if isinstance(value, bool):
            found += [words if value else f"no {words}"]
        elif isinstance(value, float):
            found += [f"{words} {value:.3f}"]
        elif isinstance(value, int) and value:
            counted = words.removesuffix("s") if value == 1 else words
            found += [f"{words} {value:,}" if name.endswith("_of") else f"{value:,} {counted}"]
        elif isinstance(value, str) and value:
            found += [value]
    return found
