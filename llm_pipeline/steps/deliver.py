"""Deliver: tell webhooks of events, each once, and again where a receiver failed.

An attempt is counted before it is made. A process that ends between sending and recording leaves
the delivery pending: it is sent again, with the same `webhook-id`, when `ATTEMPT` is over.
"""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from llm_pipeline.domain.webhook_events import WebhookRemoved, WebhookTested
from llm_pipeline.domain.webhooks import signature, wait_after
from llm_pipeline.errors import InvalidInput
from llm_pipeline.posting import Destination, Outcome
from llm_pipeline.store import alerts, log, webhooks
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.webhooks import DeliveryStatus, Due, Webhook

ACTOR = "webhooks"
# Longer than any attempt takes, name look-up included.
ATTEMPT = timedelta(minutes=2)
GONE = 410

NewId = Callable[[], str]
Find = Callable[[str], Destination]
Post = Callable[[Destination, Mapping[str, str], bytes], Outcome]


def hand_out(session: Session, new_id: NewId, at: datetime) -> int:
    """Make a delivery of each new event for each webhook that wants it; return the latest offset.

    Each webhook moves on by `webhooks.AT_ONCE` events at most.
    """
    latest = log.latest(session)
    for webhook in webhooks.all_of(session, active=True):
        if webhook.upto < latest:
            names = [*webhook.events, WebhookTested.name]
            found = log.read_since(session, webhook.upto, webhooks.AT_ONCE, names)
            upto = found[-1].offset if len(found) == webhooks.AT_ONCE else latest
            chosen = [(event.offset, new_id()) for event in found if _is_for(webhook, event)]
            webhooks.hand_out(session, webhook, upto, chosen, at)
    return latest


def _is_for(webhook: Webhook, event: log.LoggedEvent) -> bool:
    return event.name != WebhookTested.name or event.payload["webhook_id"] == webhook.id


def take(session: Session, busy: Collection[int], limit: int, at: datetime) -> list[Due]:
    """Return deliveries to attempt now, counted as attempted: one of each webhook not busy."""
    found = webhooks.due(session, at, busy, limit)
    for one in found:
        webhooks.begin(session, one, at, at + ATTEMPT)
    return found


def send(due: Due, find: Find, post: Post, at: datetime) -> Outcome:
    """Send a delivery, signed; what goes wrong is the outcome."""
    body = message(due.event)
    timestamp = int(at.timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "llm_pipeline",
        "webhook-id": due.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(due.secret, due.message_id, timestamp, body),
    }
    try:
        return post(find(due.url), headers, body)
    except InvalidInput as error:
        return Outcome(None, str(error))


def message(event: log.LoggedEvent) -> bytes:
    """Return the body that tells of an event, the same at each attempt."""
    facts = {"offset": event.offset, "name": event.name, "actor": event.actor}
    told = {
        "type": event.name.replace(":", "."),
        "timestamp": event.at.isoformat(),
        "data": {**event.payload, **facts},
    }
    return json.dumps(told, ensure_ascii=False, default=str).encode()


def record(session: Session, due: Due, outcome: Outcome, at: datetime) -> None:
    """Store what came of an attempt; a person is told when it was the last, and when it is over."""
    if outcome.arrived:
        told = {"status": DeliveryStatus.DELIVERED, "delivered_at": at, "error": ""}
        if webhooks.end(session, due.delivery_id, **told, answer=outcome.status):
            alerts.settle(session, webhooks.ALERT_RULE, webhooks.subject(due.webhook_id), ACTOR, at)
        return
    attempts = due.attempts + 1
    wait = None if outcome.status == GONE else wait_after(attempts)
    next_at = at if wait is None else at + wait
    status = DeliveryStatus.GIVEN_UP if wait is None else DeliveryStatus.PENDING
    values = {"status": status, "next_attempt_at": next_at, "error": outcome.error[:1000]}
    waited_for = webhooks.end(session, due.delivery_id, **values, answer=outcome.status)
    if waited_for and wait is None:
        _give_up(session, due, outcome, attempts, at)


def _give_up(session: Session, due: Due, outcome: Outcome, attempts: int, at: datetime) -> None:
    told = (
        f"event {due.event.offset} ({due.event.name}) was not delivered to {due.url} in "
        f"{attempts} attempts, the last one: {outcome.error}. Mend the receiver and send a test: "
        f"POST /api/llm-data/webhooks/{due.webhook_id}/test"
    )
    if outcome.status == GONE:
        told = (
            f"{due.url} answered 410: it is gone, and is told nothing any more. Remove it: "
            f"DELETE /api/llm-data/webhooks/{due.webhook_id}"
        )
        webhooks.disable(session, due.webhook_id, at)
        reason = "the receiver answered 410"
        log.append(session, at, WebhookRemoved(ACTOR, due.webhook_id, due.url, reason))
    found = alerts.Finding(webhooks.ALERT_RULE, webhooks.subject(due.webhook_id), "warning", told)
    alerts.tell(session, found, ACTOR, at)


def attempt(
    database: Database, due: Due, find: Find, post: Post, clock: Callable[[], datetime]
) -> Outcome:
    """Send a delivery and record what came of it."""
    outcome = send(due, find, post, clock())
    with database.begin() as session:
        record(session, due, outcome, clock())
    return outcome
