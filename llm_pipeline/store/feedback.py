"""Feedback: how often people said that an answer was wrong."""

from sqlalchemy.orm import Session

from llm_pipeline.domain.automation_events import FeedbackGiven
from llm_pipeline.store import log

_AT_ONCE = 1_000


def wrong_since(session: Session, offset: int) -> int:
    """Return how many answers were called wrong after an offset: one by somebody counts once,
    however often they say it."""
    called: set[tuple[str, int]] = set()
    untold = 0  # in events of earlier versions, which do not name them
    while True:
        found = log.read_since(session, offset, _AT_ONCE, [FeedbackGiven.name])
        for event in found:
            ids = event.payload.get("wrong_mappings")
            untold += int(event.payload["wrong"]) if ids is None else 0
            called |= {(event.actor, mapping) for mapping in ids or ()}
        if len(found) < _AT_ONCE:
            return untold + len(called)
        offset = found[-1].offset
