"""The versions of the policy, and which is in force."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.errors import NotFound
from llm_pipeline.store.schema_automation import policies


@dataclass(frozen=True, slots=True)
class Policy:
    """A version of the policy; `rule` and `evidence` as `domain.approval` writes them. `audits` is
    how many audits had been answered by then, `share` the share that is audited under it."""

    id: int
    max_error: float
    confidence: float
    rule: dict[str, Any]
    evidence: dict[str, Any]
    actor: str
    offset: int
    created_at: datetime
    reason: str
    share: float
    audits: int
    looked_to: int


def add(session: Session, **values: Any) -> Policy:
    """Put a new version in force."""
    new_id = session.scalar(insert(policies).values(values).returning(policies.c.id)) or 0
    return get(session, new_id)


def get(session: Session, policy_id: int) -> Policy:
    """Return a version; `NotFound` if there is none with that id."""
    row = session.execute(select(policies).where(policies.c.id == policy_id)).first()
    if row is None:
        raise NotFound(f"there is no policy {policy_id}")
    return Policy(*row)


def in_force(session: Session) -> Policy | None:
    """Return the newest version, None before the first."""
    row = session.execute(select(policies).order_by(policies.c.id.desc()).limit(1)).first()
    return None if row is None else Policy(*row)


def page(session: Session, before_id: int | None, limit: int) -> list[Policy]:
    """Return versions, newest first, below the id `before_id`."""
    query = select(policies).order_by(policies.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(policies.c.id < before_id)
    return [Policy(*row) for row in session.execute(query)]


def count(session: Session) -> int:
    """Return how many versions there are."""
    return session.scalar(select(func.count()).select_from(policies)) or 0


def looked(session: Session, policy_id: int, offset: int) -> None:
    """Record up to which suggestion a policy has looked."""
    session.execute(update(policies).where(policies.c.id == policy_id).values(looked_to=offset))


def wish_since(session: Session, max_error: float, confidence: float) -> datetime | None:
    """Return since when these two are what the user wants: nothing before speaks of them."""
    p = policies.c
    other = select(func.max(p.id)).where((p.max_error != max_error) | (p.confidence != confidence))
    after = session.scalar(other) or 0
    began: datetime | None = session.scalar(select(func.min(p.created_at)).where(p.id > after))
    return began
