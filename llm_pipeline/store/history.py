"""The life of one mapping: who submitted it, what was decided about it, when it was live."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llm_pipeline.store.schema import decisions, live_spans, submissions, targets

_chosen, _previous, _suggested = (
    targets.alias("chosen"),
    targets.alias("previous"),
    targets.alias("suggested"),
)


def decided(session: Session, mapping_id: int) -> list[dict[str, Any]]:
    """Return every decision about a mapping with what was suggested at its time, oldest first."""
    d = decisions.c
    rows = session.execute(
        select(
            d.id.label("decision_id"),
            d.action,
            _chosen.c.key.label("target"),
            d.actor,
            d.reason,
            d.previous_status,
            _previous.c.key.label("previous_target"),
            d.undoes,
            _suggested.c.key.label("suggested_target"),
            d.probability,
            d.model_version,
            d.policy_id,
            d.plan_id,
            d.offset,
            d.decided_at.label("at"),
        )
        .select_from(
            decisions.outerjoin(_chosen, _chosen.c.id == d.target_id)
            .outerjoin(_previous, _previous.c.id == d.previous_target_id)
            .outerjoin(_suggested, _suggested.c.id == d.suggested_target_id)
        )
        .where(d.mapping_id == mapping_id)
        .order_by(d.id)
    )
    return [dict(row) for row in rows.mappings()]


def spans(session: Session, mapping_id: int) -> list[dict[str, Any]]:
    """Return the closed spans of offsets in which a mapping was live, oldest first."""
    s = live_spans.c
    rows = session.execute(
        select(targets.c.key.label("target"), s.live_from, s.live_to, s.ended_by)
        .select_from(live_spans.outerjoin(targets, targets.c.id == s.target_id))
        .where(s.mapping_id == mapping_id)
        .order_by(s.id)
    )
    return [dict(row) for row in rows.mappings()]


def submitted(session: Session, mapping_id: int, limit: int) -> list[dict[str, Any]]:
    """Return the newest submissions that became part of a mapping, newest first."""
    s = submissions.c
    rows = session.execute(
        select(
            s.text,
            targets.c.key.label("target"),
            s.note,
            s.source,
            s.submitter,
            s.upload_id.label("upload"),
            s.line,
            s.received_offset.label("offset"),
            s.received_at.label("at"),
        )
        .select_from(submissions.outerjoin(targets, targets.c.id == s.target_id))
        .where(s.mapping_id == mapping_id)
        .order_by(s.id.desc())
        .limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


def proposals(session: Session, mapping_id: int) -> dict[str, int]:
    """Return which targets the submissions of a mapping proposed, and how often."""
    s = submissions.c
    query = (
        select(targets.c.key, func.count())
        .select_from(submissions.join(targets, targets.c.id == s.target_id))
        .where(s.mapping_id == mapping_id)
        .group_by(targets.c.key)
        .order_by(func.count().desc(), targets.c.key)
    )
    return {row[0]: row[1] for row in session.execute(query)}
