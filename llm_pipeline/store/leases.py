"""Leases: who holds which groups, so that two reviewers never work on the same one.

Writers take turns on both databases, so that what is free when it is looked for is free when it is
taken. A lease ends by its time alone; whoever wants the group then takes it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.review import Lease
from llm_pipeline.errors import Conflict
from llm_pipeline.store.schema_derived import review_groups
from llm_pipeline.store.schema_operations import leases
from llm_pipeline.store.schema_review import review_skips

_L = leases.c
SKIPPED_FOR = timedelta(hours=1)


def tidy(session: Session, holder: str, at: datetime) -> None:
    """Drop leases and skips that are over, and this holder's leases of groups that are gone."""
    gone = ~exists().where(review_groups.c.key == _L.key)
    session.execute(delete(leases).where(or_(_L.expires_at <= at, (_L.holder == holder) & gone)))
    session.execute(delete(review_skips).where(review_skips.c.expires_at <= at))


def own(session: Session, holder: str) -> dict[str, list[str]]:
    """Return the groups somebody holds, each with those near to it that came along."""
    query = select(_L.key, _L.led_by).where(_L.holder == holder).order_by(_L.key)
    rows = session.execute(query).all()
    led: dict[str, list[str]] = {row.key: [] for row in rows if row.led_by is None}
    for row in rows:
        if row.led_by in led:
            led[row.led_by].append(row.key)
        elif row.led_by is not None:
            led[row.key] = []  # the group it came along with is settled
    return led


def renew(session: Session, holder: str, until: datetime) -> None:
    """Let somebody hold what they hold until then, unless they hold it longer."""
    session.execute(
        update(leases).where(_L.holder == holder, _L.expires_at < until).values(expires_at=until)
    )


def take(session: Session, keys: Iterable[str], lease: Lease, led_by: str | None = None) -> None:
    """Hold groups that nobody else holds."""
    keys = list(keys)
    if not keys:
        return
    session.execute(delete(leases).where(_L.key.in_(keys)))
    session.execute(
        insert(leases),
        [
            {"key": k, "holder": lease.holder, "led_by": led_by, "expires_at": lease.expires_at}
            for k in keys
        ],
    )


def release(session: Session, holder: str, keys: Sequence[str] | None = None) -> int:
    """Give groups back, with those that came along; all without `keys`. Return how many."""
    mine = delete(leases).where(_L.holder == holder)
    if keys is not None:
        mine = mine.where(or_(_L.key.in_(keys), _L.led_by.in_(keys)))
    return int(session.execute(mine).rowcount)  # type: ignore[attr-defined]


def holders(session: Session, keys: Sequence[str], at: datetime) -> dict[str, Lease]:
    """Return who holds which of these groups now."""
    query = select(_L.key, _L.holder, _L.expires_at).where(_L.key.in_(keys), _L.expires_at > at)
    return {row[0]: Lease(row[1], row[2]) for row in session.execute(query)}


def demand(session: Session, keys: Sequence[str], actor: str, at: datetime) -> None:
    """Raise Conflict if somebody else holds one of these groups; a lease that is over and was not
    taken by anybody does no harm."""
    for key, lease in holders(session, keys, at).items():
        if lease.holder != actor:
            raise Conflict(
                f"{lease.holder} holds the group {key!r} until "
                f"{lease.expires_at:%Y-%m-%d %H:%M:%S} UTC; lease another one"
            )


def skip(session: Session, holder: str, keys: Sequence[str], at: datetime) -> None:
    """Let groups come last for somebody, for an hour."""
    s = review_skips.c
    session.execute(delete(review_skips).where(s.holder == holder, s.key.in_(keys)))
    until = at + SKIPPED_FOR
    rows = [{"holder": holder, "key": key, "expires_at": until} for key in keys]
    session.execute(insert(review_skips), rows)


def unskip(session: Session, holder: str, keys: Sequence[str]) -> None:
    """Let groups come in their turn again."""
    s = review_skips.c
    session.execute(delete(review_skips).where(s.holder == holder, s.key.in_(keys)))
