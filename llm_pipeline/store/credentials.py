"""Tokens, one-time links and sessions: only their digests are stored."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, or_, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Role
from llm_pipeline.store.schema_operations import credentials


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking, and what they may do."""

    user: str
    role: Role


def digest(secret: str) -> str:
    """Return what is stored of a secret. It holds 256 random bits, so one hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add(
    session: Session,
    kind: str,
    secret: str,
    identity: Identity,
    at: datetime,
    expires_at: datetime | None = None,
) -> None:
    """Store a token, link or session."""
    session.execute(
        insert(credentials).values(
            kind=kind,
            digest=digest(secret),
            user=identity.user,
            role=identity.role.value,
            created_at=at,
            expires_at=expires_at,
        )
    )


def find(session: Session, kind: str, secret: str, at: datetime) -> Identity | None:
    """Return whose secret this is, if it is valid at that time."""
    c = credentials.c
    row = session.execute(
        select(c.user, c.role).where(
            c.kind == kind,
            c.digest == digest(secret),
            c.revoked_at.is_(None),
            c.used_at.is_(None),
            or_(c.expires_at.is_(None), c.expires_at > at),
        )
    ).first()
    return None if row is None else Identity(row[0], Role(row[1]))


def use_once(session: Session, kind: str, secret: str, at: datetime) -> Identity | None:
    """Return whose one-time secret this is and spend it; only one of two callers gets it."""
    identity = find(session, kind, secret, at)
    if identity is None:
        return None
    spent = session.execute(
        update(credentials)
        .where(
            credentials.c.kind == kind,
            credentials.c.digest == digest(secret),
            credentials.c.used_at.is_(None),
        )
        .values(used_at=at)
    )
    return identity if spent.rowcount else None  # type: ignore[attr-defined]


def revoke(session: Session, user: str, at: datetime) -> int:
    """End every token, link and session of a user; return how many there were."""
    result = session.execute(
        update(credentials)
        .where(credentials.c.user == user, credentials.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
