"""How components are: what is seen of one, what is held of it, and when a change counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Health(StrEnum):
    """How a component is, the best first."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


# The alert of each; a critical one stops automatic approval (`automation.stops_approval`).
RULES = {Health.DEGRADED: "component_degraded", Health.DOWN: "component_down"}
SEVERITIES = {Health.DEGRADED: "warning", Health.DOWN: "critical"}
# The API as it is seen from outside: a dead one cannot tell of itself, so Dagster looks too.
API = "API"
LOOKS_NEEDED = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look found: numbers in `detail`; `reason` says why it is not well."""

    component: str
    status: Health
    detail: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a component stands: since when it has had this status, and when it was seen last."""

    component: str
    status: Health
    since: datetime
    reason: str
    detail: str
    seen_at: datetime


def worst(statuses: Sequence[Health]) -> Health:
    """Return the worst of them, ok for none.

    >>> worst([Health.OK, Health.DOWN, Health.DEGRADED]).value
    'down'
    """
    order = list(Health)
    return max(statuses, key=order.index, default=Health.OK)


class Steadied:
    """Lets a status change only when looks in a row agree on the new one.

    What flickers between two looks would otherwise be an event and an alert each time. A component
    that was never seen before is believed at once.

    >>> steadied = Steadied()
    >>> down, ok = Seen("Disk", Health.DOWN, ""), Seen("Disk", Health.OK, "")
    >>> [steadied.changes(Health.OK, one) for one in (down, ok, down, down)]
    [False, False, False, True]
    """

    def __init__(self, needed: int = LOOKS_NEEDED) -> None:
        self._needed = needed
        self._new: dict[str, tuple[Health, int]] = {}

    def changes(self, before: Health | None, seen: Seen) -> bool:
        """Take in a look; return whether the component's status is another one from now on."""
        if before is None or before is seen.status:
            self._new.pop(seen.component, None)
            return before is None
        status, looks = self._new.get(seen.component, (seen.status, 0))
        looks = looks + 1 if status is seen.status else 1
        self._new[seen.component] = (seen.status, looks)
        if looks >= self._needed:
            del self._new[seen.component]
            return True
        return False
