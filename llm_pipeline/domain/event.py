"""What every event is; the events themselves are in `events` and `learning_events`."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; `actor` is the user or component that made it happen."""

    name: ClassVar[str]
    actor: str

    def payload(self) -> dict[str, Any]:
        fields = asdict(self)
        del fields["actor"]
        return fields
