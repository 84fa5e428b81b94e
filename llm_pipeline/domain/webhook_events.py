"""What happens to webhooks. What came of single messages is with the deliveries: told here, each
would be a message again.
"""

from dataclasses import dataclass
from typing import ClassVar

from llm_pipeline.domain.event import Event


@dataclass(frozen=True, slots=True)
class WebhookAdded(Event):
    """An address is told of events from now on."""

    name: ClassVar[str] = "webhook:added"
    webhook_id: int
    url: str
    events: list[str]


@dataclass(frozen=True, slots=True)
class WebhookTested(Event):
    """Somebody asked for a message to one webhook, whatever events it is told of."""

    name: ClassVar[str] = "webhook:tested"
    webhook_id: int


@dataclass(frozen=True, slots=True)
class WebhookRemoved(Event):
    """An address is told nothing any more: an admin removed it, or it said that it is gone."""

    name: ClassVar[str] = "webhook:removed"
    webhook_id: int
    url: str
    reason: str
