"""Feedback: how often people said that an answer was wrong."""

from sqlalchemy.orm import Session

from llm_pipeline.domain.automation_events import FeedbackGiven
from llm_pipeline.store import log

_AT_ONCE = 1_000


def wrong_since(session: Session, offset: int) -> int:
    """Return how many answers were called wrong after an offset."""
    number = 0
    while True:
        found = log.read_since(session, offset, _AT_ONCE, [FeedbackGiven.name])
        number += sum(int(event.payload["wrong"]) for event in found)
        if len(found) < _AT_ONCE:
            return number
        offset = found[-1].offset
