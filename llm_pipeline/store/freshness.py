"""How far what is made of the data is behind it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from llm_pipeline.domain.center_events import TextRecognized
from llm_pipeline.store import activity, quality, training
from llm_pipeline.store.schema import decisions, events

# Submissions are checked as they come and a training runs every night: a day is one that was
# missed, two days leave room for a night without anything new to learn.
CHECKED, LEARNED = timedelta(days=1), timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Freshness:
    """When something was made last, when the newest of what it is made of came, and how long it may
    be behind."""

    what: str
    at: datetime | None
    newest: datetime | None
    limit: timedelta
    now: datetime

    @property
    def is_stale(self) -> bool:
        """Whether something newer waits for longer than it may."""
        if self.newest is None or (self.at is not None and self.newest <= self.at):
            return False
        return self.now - self.newest > self.limit


def look(session: Session, now: datetime) -> list[Freshness]:
    """Return how fresh the gates and the training set are."""
    received = activity.last_received(session)
    last = select(decisions.c.decided_at).order_by(decisions.c.id.desc()).limit(1)
    decided = session.scalar(last)
    recognized = events.c.name == TextRecognized.name
    answered = session.scalar(
        select(events.c.at).where(recognized).order_by(events.c.offset.desc()).limit(1)
    )
    training_set = training.latest_training_set(session)
    built = training_set.built_at if training_set else None
    return [
        Freshness("gate submissions", _checked(session, "submissions"), received, CHECKED, now),
        Freshness("gate predictions", _checked(session, "predictions"), answered, CHECKED, now),
        Freshness("training set", built, decided, LEARNED, now),
        Freshness("gate training_set", _checked(session, "training_set"), built, CHECKED, now),
    ]


def _checked(session: Session, suite: str) -> datetime | None:
    """When a suite looked last; the rows of a file are looked at as they come."""
    newest = quality.latest_gate(session, suite)
    return newest.checked_at if newest else None
