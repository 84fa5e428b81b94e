"""What routes are given: the parts of this process, who is asking, and plain kinds of input."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path, Query
from pydantic import AfterValidator, StringConstraints
from starlette.requests import HTTPConnection

from llm_pipeline.api.live import Live
from llm_pipeline.api.measuring import Requests
from llm_pipeline.api.own_numbers import OwnNumbers
from llm_pipeline.api.plan_worker import PlanWorker
from llm_pipeline.api.watcher import Watcher
from llm_pipeline.api.webhook_worker import WebhookWorker
from llm_pipeline.api.worker import UploadWorker
from llm_pipeline.domain.text import MAX_TEXT_LENGTH
from llm_pipeline.wiring import Parts, now

CLOCK_SKEW = timedelta(minutes=5)  # between machines


@dataclass(frozen=True, slots=True)
class Services:
    """Database, recogniser and background work of one application."""

    parts: Parts
    live: Live
    worker: UploadWorker
    plans: PlanWorker
    requests: Requests
    watcher: Watcher
    numbers: OwnNumbers
    webhooks: WebhookWorker


def services(request: HTTPConnection) -> Services:
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(services)]


def _in_utc(at: datetime) -> datetime:
    """Return a time in UTC, which it is in if it names no zone."""
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("in UTC, it is before the year 1 or after the year 9999") from error


def _is_over(at: datetime) -> datetime:
    """Refuse what would be the newest for as long as it is ahead."""
    if at > now() + CLOCK_SKEW:
        raise ValueError("it lies ahead of the clock of this machine")
    return at


def _is_no_blank(name: str) -> str:
    if not name.strip():
        raise ValueError("it is blank")
    return name


# PostgreSQL cannot store NUL, and no id is larger than 64 bits: both are refused at the door.
_NO_NUL = r"^[^\x00]*$"
Word = Annotated[str, StringConstraints(max_length=500, pattern=_NO_NUL)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_LENGTH, pattern=_NO_NUL)]
Named = Annotated[
    Word, StringConstraints(min_length=1, max_length=100), AfterValidator(_is_no_blank)
]
RowId = Annotated[int, Path(ge=1, lt=2**63)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
Happened = Annotated[Moment, AfterValidator(_is_over)]
Limit = Annotated[int, Query(ge=1, le=1000, description="how many items to return")]
Cursor = Annotated[
    Word | None, Query(description="`next_cursor` of the page before; none for the first page")
]
