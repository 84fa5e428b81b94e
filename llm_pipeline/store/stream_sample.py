"""What arrived in a time and how it was answered, from a sample: windows may hold millions."""

from collections import Counter
from datetime import datetime

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.drift import band_of
from llm_pipeline.domain.records import Status
from llm_pipeline.domain.stream_drift import Seen
from llm_pipeline.store.schema import mappings, submissions, targets, uploads
from llm_pipeline.store.training import IS_LIVE

SAMPLE = 20_000
AT_ONCE = 500

_m, _s = mappings.c, submissions.c


def bands(session: Session, since: datetime, until: datetime) -> Counter[str]:
    """Return how many submissions of a time fall into each band of answers, trusted labels left
    out; of at most `SAMPLE` of them, evenly spread."""
    first, last = _newest_before(session, since) + 1, _newest_before(session, until)
    step = max(1, (last + 1 - first) // SAMPLE)
    ids = range(first, last + 1, step)
    found: Counter[str] = Counter()
    for start in range(0, len(ids), AT_ONCE):
        found.update(_bands(session, list(ids[start : start + AT_ONCE])))
    return found


def _bands(session: Session, ids: list[int]) -> list[str]:
    repeat = case((IS_LIVE, _s.received_offset >= _m.live_from), else_=False)
    query = (
        select(_m.probability, repeat)
        .select_from(
            submissions.join(mappings, _m.id == _s.mapping_id).outerjoin(
                uploads, uploads.c.id == _s.upload_id
            )
        )
        .where(
            _s.id.in_(ids),
            or_(uploads.c.lands_as.is_(None), uploads.c.lands_as != Status.APPROVED.value),
        )
    )
    return [band_of(row[0], repeat=bool(row[1])) for row in session.execute(query)]


def seen(session: Session, since: datetime, until: datetime, most: int = SAMPLE) -> list[Seen]:
    """Return what arrived in a time, of at most `most` submissions, evenly spread: each with the
    target of its mapping, else the one suggested, and whether its text came for the first time."""
    first, last = _newest_before(session, since) + 1, _newest_before(session, until)
    ids = range(first, last + 1, max(1, -(-(last + 1 - first) // most)))
    found: list[Seen] = []
    for start in range(0, len(ids), AT_ONCE):
        query = (
            select(_m.normalized, targets.c.key, _m.created_at >= since)
            .select_from(
                submissions.join(mappings, _m.id == _s.mapping_id).outerjoin(
                    targets, targets.c.id == func.coalesce(_m.target_id, _m.suggested_target_id)
                )
            )
            .where(_s.id.in_(list(ids[start : start + AT_ONCE])))
        )
        found += [Seen(row[0], row[1], bool(row[2])) for row in session.execute(query)]
    return found


def _newest_before(session: Session, at: datetime) -> int:
    """Return the id of the newest submission before a time, by halves: ids follow the time."""
    low, high = 0, session.scalar(select(func.max(_s.id))) or 0
    while low < high:
        middle = (low + high + 1) // 2
        row = session.execute(
            select(_s.id, _s.received_at).where(_s.id <= middle).order_by(_s.id.desc()).limit(1)
        ).first()
        if row is None or row.received_at < at:
            low = middle
        else:
            high = row.id - 1
    return low
