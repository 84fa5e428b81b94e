"""Plans: what was previewed, how far it came, and the items that were left alone. What happens to
their mappings is in `plan_chunks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.plans import UNDER_WAY, Blocked, PlanStatus
from llm_pipeline.domain.records import Action
from llm_pipeline.errors import NotFound
from llm_pipeline.store.schema import mappings, targets
from llm_pipeline.store.schema_operations import plan_items, plan_leftovers, plans

_FREEZE = """
    INSERT INTO plan_items
        (plan_id, mapping_id, version, target_id, displaced_id, displaced_version)
    SELECT CAST(:plan_id AS BIGINT), mapping_id, version, target_id, displaced_id,
        displaced_version
    FROM planned_mappings WHERE blocked IS NULL AND mapping_id > :after
    ORDER BY mapping_id LIMIT :rows"""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """What a preview found; `wanted` is the filter, or the ids, that it was asked for."""

    wanted: dict[str, Any]
    action: Action
    target_id: int | None
    reason: str
    actor: str
    count: int
    digest: str
    preview: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as it stands."""

    id: int
    wanted: dict[str, Any]
    action: Action
    target: str | None
    reason: str
    count: int
    digest: str
    preview: dict[str, Any]
    status: PlanStatus
    cursor: int
    progress: int
    decided: int
    changed_since: int
    undone: int
    kept: int
    error: str
    actor: str
    applied_by: str | None
    undone_by: str | None
    created_at: datetime
    updated_at: datetime
    apply_began_at: datetime | None
    apply_ended_at: datetime | None
    undo_began_at: datetime | None
    undo_ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Leftover:
    """A mapping that a plan left alone, in applying or in undoing, and why."""

    mapping_id: int
    text: str
    status: str
    undoing: bool
    reason: str


def _select() -> Select[Any]:
    p = plans.c
    same = ("reason", "count", "digest", "preview", "status", "cursor", "progress", "decided")
    more = ("changed_since", "undone", "kept", "error", "actor", "applied_by", "undone_by")
    times = ("created_at", "updated_at", "apply_began_at", "apply_ended_at", "undo_began_at")
    last = [p[name] for name in (*same, *more, *times, "undo_ended_at")]
    joined = plans.outerjoin(targets, targets.c.id == p.target_id)
    return select(p.id, p.filter, p.action, targets.c.key, *last).select_from(joined)


def _plan(row: Any) -> Plan:
    fields = list(row)
    fields[2], fields[8] = Action(fields[2]), PlanStatus(fields[8])
    return Plan(*fields)


def add(session: Session, new: NewPlan, at: datetime) -> int:
    """Write a plan down, without its items."""
    values = {
        "filter": new.wanted,
        "action": new.action.value,
        "target_id": new.target_id,
        "reason": new.reason,
        "count": new.count,
        "digest": new.digest,
        "preview": new.preview,
        "status": PlanStatus.FREEZING.value,
        "actor": new.actor,
        "created_at": at,
        "updated_at": at,
    }
    return session.scalar(insert(plans).values(values).returning(plans.c.id)) or 0


def freeze(session: Session, plan_id: int, after: int, rows: int) -> int | None:
    """Write down the next items that `planned` holds; return the last one, None if none is left."""
    values = {"plan_id": plan_id, "after": after, "rows": rows}
    session.execute(text(_FREEZE), values)
    last = select(func.max(plan_items.c.mapping_id)).where(plan_items.c.plan_id == plan_id)
    newest: int | None = session.scalar(last)
    return newest if newest and newest > after else None


def get(session: Session, plan_id: int) -> Plan:
    """Return a plan; `NotFound` if there is none with that id."""
    row = session.execute(_select().where(plans.c.id == plan_id)).first()
    if row is None:
        raise NotFound(
            f"there is no plan {plan_id}: one that is not applied within a day is forgotten; "
            "GET /api/llm-center/plans lists them"
        )
    return _plan(row)


def page(session: Session, before_id: int | None, limit: int) -> list[Plan]:
    """Return plans, newest first, below the id `before_id`."""
    query = _select().order_by(plans.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(plans.c.id < before_id)
    return [_plan(row) for row in session.execute(query)]


def count(session: Session) -> int:
    """Return how many plans there are."""
    return session.scalar(select(func.count()).select_from(plans)) or 0


def under_way(session: Session) -> list[int]:
    """Return the plans that are being applied or undone, oldest first."""
    query = (
        select(plans.c.id)
        .where(plans.c.status.in_([status.value for status in UNDER_WAY]))
        .order_by(plans.c.id)
    )
    return list(session.scalars(query))


def change(session: Session, plan_id: int, at: datetime, **values: Any) -> None:
    """Record how far a plan came."""
    session.execute(update(plans).where(plans.c.id == plan_id).values(updated_at=at, **values))


def leftovers(
    session: Session, plan_id: int, *, undoing: bool, after: int, limit: int
) -> list[Leftover]:
    """Return the mappings that a plan left alone, by id, from the one after `after`."""
    left = plan_leftovers.c
    query = (
        select(left.mapping_id, mappings.c.text, mappings.c.status, left.undoing, left.reason)
        .join(mappings, mappings.c.id == left.mapping_id)
        .where(left.plan_id == plan_id, left.undoing == undoing, left.mapping_id > after)
        .order_by(left.mapping_id)
        .limit(limit)
    )
    return [Leftover(*row[:4], Blocked[row[4]].value) for row in session.execute(query)]


def forgettable(session: Session, before: datetime) -> list[int]:
    """Return the plans that nobody applied, previewed before a time."""
    waiting = (PlanStatus.PREVIEWED.value, PlanStatus.FREEZING.value)
    query = select(plans.c.id).where(plans.c.status.in_(waiting), plans.c.created_at < before)
    return list(session.scalars(query))


def forget(session: Session, plan_id: int, rows: int) -> bool:
    """Delete up to `rows` items of a plan nobody applied, and it once none is left; whether it is
    gone."""
    items = plan_items.c
    still = plans.c.status.in_((PlanStatus.PREVIEWED.value, PlanStatus.FREEZING.value))
    if session.scalar(select(plans.c.id).where(plans.c.id == plan_id, still)) is None:
        return True
    change_to = update(plans).where(plans.c.id == plan_id)
    session.execute(change_to.values(status=PlanStatus.FREEZING.value))
    some: Sequence[int] = session.scalars(
        select(items.mapping_id).where(items.plan_id == plan_id).limit(rows)
    ).all()
    if some:
        gone = items.mapping_id <= max(some)
        session.execute(delete(plan_items).where(items.plan_id == plan_id, gone))
        return False
    session.execute(delete(plans).where(plans.c.id == plan_id))
    return True
