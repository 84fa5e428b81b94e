"""Webhooks: addresses that are told of events, and what came of each message."""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from llm_pipeline.api.auth import Admin
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId, Word
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.api.schemas import Incoming
from llm_pipeline.posting import LONGEST_URL, destination
from llm_pipeline.steps.subscribe import ask_for_test, subscribe, unsubscribe
from llm_pipeline.store import webhooks
from llm_pipeline.store.webhooks import DeliveryStatus, Webhook
from llm_pipeline.wiring import now

router = APIRouter(tags=["Data Management"])

PATH = "/api/llm-data/webhooks"


class NewWebhook(Incoming):
    """An address, and the events it is told of; without them those of alerts."""

    url: Annotated[str, Field(max_length=LONGEST_URL)]
    events: list[Word] = Field(default=[], max_length=100)


class WebhookOut(BaseModel):
    """An address that is told of events, and how many messages stand how."""

    id: int
    url: str
    events: list[str]
    created_at: datetime
    actor: str
    disabled_at: datetime | None
    deliveries: dict[DeliveryStatus, int]


class WebhookMade(WebhookOut):
    """A new one, with the secret that its messages are signed with: it is shown this once."""

    secret: str


class DeliveryOut(BaseModel):
    """A message about the event at `offset`; its id stays the same at each attempt."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    offset: int
    message_id: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime
    tried_at: datetime | None
    delivered_at: datetime | None
    answer: int | None
    error: str


class TestAsked(BaseModel):
    """A test is on its way: the deliveries tell what comes of the one with this offset."""

    offset: int


@router.get(PATH, summary="Addresses that are told of events")
def list_webhooks(services: Given, _caller: Admin) -> Page[WebhookOut]:
    with services.parts.read() as session:
        counts = webhooks.counts(session)
        items = [_out(one, counts) for one in webhooks.all_of(session)]
    return Page(items=items, next_cursor=None, total=len(items), total_is_exact=True)


@router.post(PATH, status_code=201, summary="Let an address be told of events")
def post_webhook(services: Given, caller: Admin, body: NewWebhook) -> WebhookMade:
    destination(body.url)
    with services.parts.begin() as session:
        made, secret = subscribe(
            session, body.url, body.events, secrets.token_bytes, caller.user, now()
        )
    return WebhookMade(**_out(made, {}).model_dump(), secret=secret)


@router.delete(PATH + "/{webhook_id}", status_code=204, summary="Tell an address nothing any more")
def delete_webhook(services: Given, caller: Admin, webhook_id: RowId) -> None:
    with services.parts.begin() as session:
        unsubscribe(session, webhook_id, caller.user, now())


@router.post(PATH + "/{webhook_id}/test", status_code=202, summary="Send a test to one webhook")
def post_test(services: Given, caller: Admin, webhook_id: RowId) -> TestAsked:
    with services.parts.begin() as session:
        offset = ask_for_test(session, webhook_id, caller.user, now())
    services.webhooks.wake()
    return TestAsked(offset=offset)


@router.get(PATH + "/{webhook_id}/deliveries", summary="Messages to one webhook, newest first")
def list_deliveries(
    services: Given, _caller: Admin, webhook_id: RowId, limit: Limit = 50, cursor: Cursor = None
) -> Page[DeliveryOut]:
    with services.parts.read() as session:
        webhooks.get(session, webhook_id)
        found = webhooks.deliveries(session, webhook_id, row_position(cursor), limit + 1)
        counts = webhooks.counts(session)
    total = sum(number for (one, _), number in counts.items() if one == webhook_id)
    return page_of(found, limit, DeliveryOut.model_validate, total)


def _out(found: Webhook, counts: Mapping[tuple[int, str], int]) -> WebhookOut:
    told = {status: counts.get((found.id, status), 0) for status in DeliveryStatus}
    facts = {name: getattr(found, name) for name in WebhookOut.model_fields if name != "deliveries"}
    return WebhookOut(**facts, deliveries=told)
