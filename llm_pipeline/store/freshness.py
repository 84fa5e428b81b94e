"""How far what is made of the data is behind it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.center_events import TextRecognized
from llm_pipeline.store import activity
from llm_pipeline.store.schema import decisions, events
from llm_pipeline.store.schema_operations import gate_results, training_sets

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
    built = session.scalar(select(func.max(training_sets.c.built_at)))
    return [
        Freshness("gate submissions", _checked(session, "submissions"), received, CHECKED, now),
        Freshness("gate predictions", _checked(session, "predictions"), answered, CHECKED, now),
        Freshness("training set", built, decided, LEARNED, now),
        Freshness("gate training_set", _checked(session, "training_set"), built, CHECKED, now),
    ]


def _checked(session: Session, suite: str) -> datetime | None:
    """When a suite looked last; the rows of a file are looked at as they come."""
    of_suite = gate_results.c.suite == suite
    newest: datetime | None = session.scalar(
        select(func.max(gate_results.c.checked_at)).where(of_suite)
    )
    return newest
