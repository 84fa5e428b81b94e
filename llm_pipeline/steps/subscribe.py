"""Subscribe: let an address be told of events, ask for a message to it, and end it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from difflib import get_close_matches

from llm_pipeline.domain.events import EVENTS
from llm_pipeline.domain.webhook_events import WebhookAdded, WebhookRemoved, WebhookTested
from llm_pipeline.domain.webhooks import SECRET_BYTES, USUAL_EVENTS, secret_of
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.store import alerts, log, webhooks
from llm_pipeline.store.engine import Session

MOST_WEBHOOKS = 100


def subscribe(
    session: Session,
    url: str,
    events: Sequence[str],
    random: Callable[[int], bytes],
    actor: str,
    at: datetime,
) -> tuple[webhooks.Webhook, str]:
    """Return a new webhook and its secret, which nobody is shown again.

    Whether the address may be told is for the caller to ask before: it takes time to look up.
    """
    wanted = list(dict.fromkeys(events or USUAL_EVENTS))
    for name in wanted:
        if name not in EVENTS:
            raise InvalidInput(_no_event(name))
    if len(webhooks.all_of(session)) >= MOST_WEBHOOKS:
        raise Conflict(f"there are {MOST_WEBHOOKS} webhooks; remove one that is not needed first")
    secret = secret_of(random(SECRET_BYTES))
    upto = log.next_offset(session) - 1
    webhook_id = webhooks.add(
        session, url=url, events=wanted, secret=secret, created_at=at, actor=actor, upto=upto
    )
    log.append(session, at, WebhookAdded(actor, webhook_id, url, wanted))
    return webhooks.get(session, webhook_id), secret


def _no_event(name: str) -> str:
    near = get_close_matches(name, EVENTS, 1)
    hint = f"; did you mean {near[0]!r}" if near else ""
    return f"there is no event {name[:100]!r}{hint}. The README lists all of them"


def unsubscribe(session: Session, webhook_id: int, actor: str, at: datetime) -> None:
    """End a webhook: its secret, what was to be sent, and its alert. Raises NotFound."""
    found = webhooks.get(session, webhook_id)
    webhooks.remove(session, webhook_id)
    log.append(session, at, WebhookRemoved(actor, webhook_id, found.url, "removed"))
    alerts.settle(session, webhooks.ALERT_RULE, webhooks.subject(webhook_id), actor, at)


def ask_for_test(session: Session, webhook_id: int, actor: str, at: datetime) -> int:
    """Ask for a message to one webhook; return the offset of the event that it will tell of."""
    found = webhooks.get(session, webhook_id)
    if found.disabled_at is not None:
        raise Conflict(f"webhook {webhook_id} is disabled: its receiver said that it is gone")
    return log.append(session, at, WebhookTested(actor, webhook_id))
