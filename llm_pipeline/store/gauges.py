"""The numbers of a scrape, from counters that are kept: cheap at any size of the store."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.store import activity, audits, breaker, log, models, uploads
from llm_pipeline.store.models import StoredModel
from llm_pipeline.store.schema_derived import status_counts
from llm_pipeline.store.schema_operations import alerts


@dataclass(frozen=True, slots=True)
class Gauges:
    """How the store stands in numbers."""

    mappings: dict[str, int]
    waiting_rows: int
    submissions: int
    offset: int
    champion: StoredModel | None
    open_alerts: dict[str, int]
    open_audits: int
    answered_audits: int
    uploads_under_way: int
    automation_stops: int


def read(session: Session) -> Gauges:
    """Return the numbers as one transaction sees them."""
    counts = status_counts.c
    by_status = select(counts.status, func.sum(counts.mappings), func.sum(counts.rows))
    rows = session.execute(by_status.group_by(counts.status)).all()
    found = {row[0]: (int(row[1]), int(row[2])) for row in rows}
    is_open = select(alerts.c.severity, func.count()).where(alerts.c.resolved_at.is_(None))
    return Gauges(
        mappings={one.value: found.get(one.value, (0, 0))[0] for one in Status},
        waiting_rows=found.get(Status.PENDING.value, (0, 0))[1],
        submissions=activity.total(session, activity.RECEIVED),
        offset=log.latest(session),
        champion=models.champion(session),
        open_alerts={
            row[0]: row[1] for row in session.execute(is_open.group_by(alerts.c.severity))
        },
        open_audits=audits.open_count(session),
        answered_audits=audits.answered_count(session),
        uploads_under_way=len(uploads.unfinished(session)),
        automation_stops=len(breaker.open_stops(session)),
    )
