"""What the policy looks at: waiting mappings with a suggestion, some at a time."""

from dataclasses import dataclass

from sqlalchemy import exists, func, select, text, true
from sqlalchemy.orm import Session

from llm_pipeline.domain.automation import stratum_of
from llm_pipeline.store.schema import LIVE_STATUSES, SUGGESTED, decisions, mappings, targets

_m = mappings.c
# As the index says it, of a table that is joined with itself.
_IN_INDEX = "mappings.suggested_offset IS NOT NULL AND mappings.status = 'pending'"
# SQLite would go through all that waits, for every text that is submitted.
_BY_INDEX = ("INDEXED BY ix_mappings_suggested_offset", "sqlite")


@dataclass(frozen=True, slots=True)
class Suggested:
    """A waiting mapping: what is suggested for it, and whether the policy may look at it."""

    id: int
    text: str
    target_id: int | None
    target: str | None
    probability: float
    stratum: str
    rows: int
    model_version: str
    eligible: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a look at the suggestions stands: everything up to an offset, and behind it up to an
    id."""

    offset: int
    id: int = 0


def waiting(session: Session, after: Place, limit: int) -> list[Suggested]:
    """Return suggestions behind a place, in the order in which they were stored.

    Not eligible is what a person has to look at: what somebody decided about before, differing
    proposals, a proposal that is not what is suggested, a live mapping of the same text, and a
    target that can no longer be chosen.
    """
    other = mappings.alias("other")
    live = exists().where(other.c.normalized == _m.normalized, text(f"other.{LIVE_STATUSES}"))
    decided = exists().where(decisions.c.mapping_id == _m.id)
    agrees = func.coalesce(_m.proposed_target_id == _m.suggested_target_id, true())
    eligible = targets.c.retired_at.is_(None) & ~_m.conflict & agrees & ~live & ~decided
    behind = (_m.suggested_offset > after.offset) | (
        (_m.suggested_offset == after.offset) & (_m.id > after.id)
    )
    query = (
        select(
            _m.id,
            _m.text,
            _m.suggested_target_id,
            targets.c.key,
            func.coalesce(_m.probability, 0.0),
            _m.evidence,
            _m.proposed_target_id.is_not(None),
            _m.rows,
            func.coalesce(_m.model_version, ""),
            eligible,
            _m.suggested_offset,
        )
        .select_from(mappings.outerjoin(targets, targets.c.id == _m.suggested_target_id))
        .where(text(_IN_INDEX), behind)
        .where(_m.suggested_offset >= after.offset)
        .order_by(_m.suggested_offset, _m.id)
        .limit(limit)
        .with_hint(mappings, *_BY_INDEX)
    )
    return [
        Suggested(  # type: ignore[call-arg]
            *row[:5],
            stratum_of(row[5] or "", proposed=row[6]),
            row[7],
            row[8],
            bool(row[9]) and row[2] is not None,
            row[10],
        )
        for row in session.execute(query)
    ]


def of_mapping(session: Session, mapping_id: int) -> Suggested | None:
    """Return the suggestion of one mapping, None if it does not wait or has none."""
    offset = session.scalar(select(_m.suggested_offset).where(_m.id == mapping_id))
    if offset is None:
        return None
    found = waiting(session, Place(offset, mapping_id - 1), 1)
    return found[0] if found and found[0].id == mapping_id else None


def unseen(session: Session, after: int) -> int:
    """Return the newest offset of the suggestions stored behind an offset, 0 if there are none."""
    newest = func.coalesce(func.max(_m.suggested_offset), 0)
    query = select(newest).where(text(SUGGESTED), _m.suggested_offset > after)
    query = query.with_hint(mappings, *_BY_INDEX)
    return session.scalar(query) or 0
