"""Numbers that others post, by source and name."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from llm_pipeline.store.schema_operations import metrics


def add(session: Session, source: str, values: Mapping[str, float], at: datetime) -> None:
    """Store numbers of a source at a time."""
    rows = [{"source": source, "name": n, "value": v, "at": at} for n, v in values.items()]
    if rows:
        session.execute(insert(metrics), rows)


def all_series(
    session: Session, source: str, limit: int = 100
) -> dict[str, list[tuple[datetime, float]]]:
    """Return the newest values of every number of a source, by its name."""
    names = select(metrics.c.name).where(metrics.c.source == source).distinct()
    found = session.scalars(names.order_by(metrics.c.name))
    return {name: series(session, source, name, limit) for name in list(found)}


def series(
    session: Session, source: str, name: str, limit: int = 100
) -> list[tuple[datetime, float]]:
    """Return the newest values of a number, newest first."""
    m = metrics.c
    query = select(m.at, m.value).where(m.source == source, m.name == name)
    return [(row[0], row[1]) for row in session.execute(query.order_by(m.at.desc()).limit(limit))]
