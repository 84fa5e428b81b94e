"""Look for drift: does what arrives now look like what arrived before?"""

from datetime import datetime, timedelta

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.drift import Drift, compare
from llm_pipeline.store import alerts, breaker, stream_sample
from llm_pipeline.store.engine import Session

RECENT = timedelta(days=1)
BEFORE = timedelta(days=30)
SUBJECT = "submissions"


def look_for_drift(session: Session, actor: str, at: datetime) -> Drift:
    """Compare the answers to a day's submissions with those of 30 days before; raise the alert that
    stops automatic approval if they differ much, and resolve it once they do not."""
    recent = stream_sample.bands(session, at - RECENT, at)
    before = stream_sample.bands(session, at - RECENT - BEFORE, at - RECENT)
    found = compare(before, recent)
    rule = Cause.DRIFT.value
    if found.is_large:
        message = f"the submissions of the last day are unlike those before: {found.explain()}"
        finding = alerts.Finding(rule, SUBJECT, "critical", message)
        alerts.tell(session, finding, actor, at)
    else:
        alerts.settle(session, rule, SUBJECT, actor, at)
    breaker.look(session, actor, at)
    return found
