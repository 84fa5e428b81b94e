"""Webhooks and their deliveries: who is told what, what is due, and what came of it.

The log is the outbox: an event and what it tells of are one transaction, and `hand_out` makes
deliveries of events in the transaction in which it moves on, so that each has one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.orm import Session

from llm_pipeline.errors import NotFound
from llm_pipeline.store import log
from llm_pipeline.store.schema import events
from llm_pipeline.store.schema_operations import DUE_DELIVERY, webhook_deliveries, webhooks

AT_ONCE = 500
ALERT_RULE = "webhook_failed"

_w, _d = webhooks.c, webhook_deliveries.c


class DeliveryStatus(StrEnum):
    """What came of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told of events; its secret stays here."""

    id: int
    url: str
    events: list[str]
    created_at: datetime
    actor: str
    upto: int
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to an address, or there, or given up."""

    id: int
    webhook_id: int
    offset: int
    message_id: str
    status: str
    attempts: int
    next_attempt_at: datetime
    tried_at: datetime | None
    delivered_at: datetime | None
    answer: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that this process attempts now."""

    delivery_id: int
    webhook_id: int
    url: str
    secret: str
    message_id: str
    attempts: int
    event: log.LoggedEvent


_WEBHOOK = (_w.id, _w.url, _w.events, _w.created_at, _w.actor, _w.upto, _w.disabled_at)


def subject(webhook_id: int) -> str:
    """Return what alerts call a webhook."""
    return f"webhook {webhook_id}"


def add(session: Session, **values: Any) -> int:
    """Store a webhook and return its id."""
    return session.scalar(insert(webhooks).values(values).returning(_w.id)) or 0


def all_of(session: Session, *, active: bool = False) -> list[Webhook]:
    """Return the webhooks in the order of their making."""
    query = select(*_WEBHOOK).order_by(_w.id)
    if active:
        query = query.where(_w.disabled_at.is_(None))
    return [Webhook(*row) for row in session.execute(query)]


def get(session: Session, webhook_id: int) -> Webhook:
    """Return a webhook; `NotFound` if there is none with that id."""
    row = session.execute(select(*_WEBHOOK).where(_w.id == webhook_id)).first()
    if row is None:
        raise NotFound(
            f"there is no webhook {webhook_id}; GET /api/llm-data/webhooks lists what there is"
        )
    return Webhook(*row)


def remove(session: Session, webhook_id: int) -> None:
    """Forget a webhook, its secret and its deliveries."""
    session.execute(delete(webhook_deliveries).where(_d.webhook_id == webhook_id))
    session.execute(delete(webhooks).where(_w.id == webhook_id))


def disable(session: Session, webhook_id: int, at: datetime) -> None:
    """Send a webhook nothing any more, not even what is due."""
    session.execute(update(webhooks).where(_w.id == webhook_id).values(disabled_at=at))
    session.execute(
        update(webhook_deliveries)
        .where(_d.webhook_id == webhook_id, _d.status == DeliveryStatus.PENDING)
        .values(status=DeliveryStatus.GIVEN_UP, error="the webhook is disabled")
    )


def hand_out(
    session: Session, webhook: Webhook, latest: int, chosen: list[tuple[int, str]], at: datetime
) -> None:
    """Make the deliveries of chosen events, each with its message id, and move on to `latest`."""
    session.execute(update(webhooks).where(_w.id == webhook.id).values(upto=latest))
    rows = [
        {
            "webhook_id": webhook.id,
            "offset": offset,
            "message_id": message_id,
            "status": DeliveryStatus.PENDING,
            "next_attempt_at": at,
        }
        for offset, message_id in chosen
    ]
    if rows:
        session.execute(insert(webhook_deliveries), rows)


def due(session: Session, at: datetime, busy: Collection[int], limit: int) -> list[Due]:
    """Return what is due, one delivery a webhook, the longest due first, without busy webhooks."""
    first = (
        select(_d.webhook_id, func.min(_d.id).label("id"))
        .where(text(DUE_DELIVERY), _d.next_attempt_at <= at, _d.webhook_id.not_in(list(busy)))
        .group_by(_d.webhook_id)
        .subquery()
    )
    query = (
        select(_d.id, _d.webhook_id, _w.url, _w.secret, _d.message_id, _d.attempts, *events.c)
        .join_from(webhook_deliveries, first, first.c.id == _d.id)
        .join(webhooks, _w.id == _d.webhook_id)
        .join(events, events.c.offset == _d.offset)
        .order_by(_d.next_attempt_at, _d.id)
        .limit(limit)
    )
    found = [tuple(row) for row in session.execute(query)]
    return [
        Due(did, wid, url, secret, message, attempts, log.LoggedEvent(*event))
        for did, wid, url, secret, message, attempts, *event in found
    ]


def begin(session: Session, due: Due, at: datetime, until: datetime) -> None:
    """Count an attempt; nobody else makes one before `until`."""
    session.execute(
        update(webhook_deliveries)
        .where(_d.id == due.delivery_id)
        .values(attempts=due.attempts + 1, tried_at=at, next_attempt_at=until)
    )


def end(session: Session, delivery_id: int, **values: Any) -> bool:
    """Record what came of an attempt; False if the delivery is not waited for any more."""
    found = update(webhook_deliveries).where(
        _d.id == delivery_id, _d.status == DeliveryStatus.PENDING
    )
    return bool(session.execute(found.values(values)).rowcount)  # type: ignore[attr-defined]


def deliveries(
    session: Session, webhook_id: int, before_id: int | None, limit: int
) -> list[Delivery]:
    """Return the deliveries of a webhook, newest first, below the id `before_id`."""
    query = select(webhook_deliveries).where(_d.webhook_id == webhook_id)
    if before_id is not None:
        query = query.where(_d.id < before_id)
    found = session.execute(query.order_by(_d.id.desc()).limit(limit))
    return [Delivery(*row) for row in found]


def counts(session: Session) -> dict[tuple[int, str], int]:
    """Return how many deliveries of each webhook stand how."""
    query = select(_d.webhook_id, _d.status, func.count()).group_by(_d.webhook_id, _d.status)
    return {(row[0], row[1]): row[2] for row in session.execute(query)}
