"""Requests that may arrive twice: the key a client chose, and the mapping it was answered with."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from llm_pipeline.store import log
from llm_pipeline.store.schema import idempotency_keys


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was answered before."""

    digest: str
    mapping_id: int


def find(session: Session, actor: str, key: str) -> Answered | None:
    """Return what a key was used for; two requests with one key at once take turns."""
    log.next_offset(session)
    k = idempotency_keys.c
    query = select(k.digest, k.mapping_id).where(k.actor == actor, k.key == key)
    row = session.execute(query).first()
    return None if row is None else Answered(*row)


def save(session: Session, actor: str, key: str, answered: Answered, at: datetime) -> None:
    """Remember what a key was used for."""
    session.execute(
        insert(idempotency_keys).values(
            actor=actor,
            key=key,
            digest=answered.digest,
            mapping_id=answered.mapping_id,
            created_at=at,
        )
    )
