"""How a component was over the last day, as a strip of pieces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from llm_pipeline.api.infrastructure import ChangeOut, ComponentHistory

DAY = timedelta(hours=24)
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Piece:
    """A time of one status, as a share of the day."""

    status: str
    share: float


@dataclass(frozen=True, slots=True)
class Card:
    """A component with its strip."""

    one: ComponentHistory
    strip: list[Piece]


def cards(found: Sequence[ComponentHistory], at: datetime) -> list[Card]:
    """Return components with their strips up to a time."""
    return [Card(one, strip(one.history, at)) for one in found]


def strip(history: Sequence[ChangeOut], at: datetime) -> list[Piece]:
    """Return the pieces of the day before a time, oldest first; `history` is newest first. What was
    before the oldest change is not known."""
    began = at - DAY
    pieces: list[Piece] = []
    until = at
    for change in history:
        since = max(change.at, began)
        if since < until:
            pieces.append(Piece(change.status.value, (until - since) / DAY))
            until = since
    if until > began:
        pieces.append(Piece(UNKNOWN, (until - began) / DAY))
    return pieces[::-1]
