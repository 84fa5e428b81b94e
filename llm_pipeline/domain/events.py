"""Everything that can happen, by name."""

from llm_pipeline.domain import (
    automation_events,
    center_events,
    health_events,
    learning_events,
    webhook_events,
)
from llm_pipeline.domain.event import Event

EVENTS: dict[str, type[Event]] = {
    event.name: event
    for module in (
        center_events,
        learning_events,
        automation_events,
        health_events,
        webhook_events,
    )
    for event in vars(module).values()
    if isinstance(event, type) and issubclass(event, Event) and event is not Event
}
