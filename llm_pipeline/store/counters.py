"""How many mappings a filter matches, from the counters that are kept: where it has no words."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llm_pipeline.store.filters import Filter
from llm_pipeline.store.schema import targets
from llm_pipeline.store.schema_derived import status_counts, target_counts


def counted(session: Session, wanted: Filter) -> int | None:
    """Return the exact number, however large; none if no counter knows it."""
    arrival = (wanted.source, wanted.upload, wanted.submitter, wanted.since, wanted.until)
    others = (*arrival, wanted.policy, wanted.model, wanted.decided_by)
    if wanted.q.strip() or any(one is not None for one in others):
        return None
    by_target = wanted.target is not None or wanted.category is not None
    counts = target_counts if by_target else status_counts
    query = select(func.coalesce(func.sum(counts.c.mappings), 0))
    if by_target:
        query = query.join_from(counts, targets, targets.c.id == target_counts.c.target_id)
    if wanted.target is not None:
        query = query.where(targets.c.key == wanted.target)
    if wanted.category is not None:
        query = query.where(targets.c.category == wanted.category)
    if wanted.statuses:
        query = query.where(counts.c.status.in_(wanted.statuses))
    return int(session.scalar(query) or 0)
