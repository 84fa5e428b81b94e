"""What all events have in common. The log stores `name` and the fields as JSON.

An event is a frozen dataclass named `source:past-tense`. A single act is one event; a bulk act is
one event per chunk, with its counts and the id of the upload or plan it belongs to.
"""

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
