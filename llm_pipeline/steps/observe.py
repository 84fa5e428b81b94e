"""Observe components: keep how they are, tell and alert when that changes; stop what must stop,
and let it go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from llm_pipeline.domain.health import Seen
from llm_pipeline.store import breaker, components
from llm_pipeline.store.engine import Session


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of a component, and since when it has been so."""

    seen: Seen
    since: datetime


def observe(
    session: Session, observations: Sequence[Observation], actor: str, at: datetime
) -> list[str]:
    """Keep observations in their order, several of one component too; return whose status changed.

    Whoever calls it has seen each status often enough to believe it.
    """
    known = components.states(session)
    changed = []
    for one in observations:
        before = known.get(one.seen.component)
        if before is not None and before.status is one.seen.status:
            components.touch(session, one.seen, at)
            continue
        # Another process may have seen another status in between.
        since = one.since if before is None or one.since > before.since else at
        if components.change(session, one.seen, before, since, actor, at):
            changed.append(one.seen.component)
        known = components.states(session)
    # Also where nothing changed: what raises and resolves alerts elsewhere does not look itself.
    breaker.look(session, actor, at)
    return changed
