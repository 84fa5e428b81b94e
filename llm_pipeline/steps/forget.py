"""Forget: delete what is old and nobody needs, chunk by chunk, so that writers wait for one chunk.

What is kept for ever: decisions, spans of mappings, submissions and targets (`training_rows(as_of)`
gives the same rows for ever), policies, audits and stops, training sets, the rows of all models,
alerts, and in MLflow every model that ever answered.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from llm_pipeline.domain.learning_events import HistoryForgotten
from llm_pipeline.registry import Registry
from llm_pipeline.store import forgetting, log, models
from llm_pipeline.store.engine import Database, Session

Delete = Callable[[Session, datetime], int]


@dataclass(frozen=True, slots=True)
class Ages:
    """After how long what goes: events; results of gates, reports, posted numbers, deliveries of
    webhooks and changes of components; keys, sessions and leases that ended; models that lost."""

    events: timedelta
    results: timedelta
    ended: timedelta
    losers: timedelta


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many rows went, by kind, and up to which offset the log did."""

    events: int
    first_offset: int
    gate_results: int
    reports: int
    metrics: int
    deliveries: int
    component_changes: int
    idempotency_keys: int
    credentials: int
    leases: int
    shadow_answers: int
    models: int


def forget(
    database: Database, registry: Registry, ages: Ages, actor: str, clock: Callable[[], datetime]
) -> Forgotten:
    """Delete what is older than its age, and tell of it if there was anything."""
    at = clock()

    def emptied(delete: Delete, age: timedelta) -> int:
        return _emptied(database, lambda session: delete(session, at - age))

    with database.read() as session:
        first = forgetting.first_kept(session, at - ages.events)
    done = Forgotten(
        events=_emptied(database, lambda session: forgetting.events_below(session, first)),
        first_offset=first,
        gate_results=emptied(forgetting.gates_before, ages.results),
        reports=emptied(forgetting.reports_before, ages.results),
        metrics=emptied(forgetting.metrics_before, ages.results),
        deliveries=emptied(forgetting.deliveries_before, ages.results),
        component_changes=emptied(forgetting.changes_before, ages.results),
        idempotency_keys=emptied(forgetting.keys_before, ages.ended),
        credentials=emptied(forgetting.credentials_before, ages.ended),
        leases=emptied(forgetting.leases_before, ages.ended),
        shadow_answers=emptied(forgetting.shadows_before, ages.losers),
        models=_forget_losers(database, registry, at - ages.losers),
    )
    counts = {name: number for name, number in asdict(done).items() if name != "first_offset"}
    if any(counts.values()):
        with database.begin() as session:
            log.append(session, clock(), HistoryForgotten(actor, first, counts))
    return done


def _emptied(database: Database, delete: Callable[[Session], int]) -> int:
    total = 0
    while True:
        with database.begin() as session:
            number = delete(session)
        total += number
        if number == 0:
            return total


def _forget_losers(database: Database, registry: Registry, before: datetime) -> int:
    """Delete the files and runs of models that were refused and never answered."""
    with database.read() as session:
        losers = models.losers(session, before)
    for one in losers:
        with database.begin() as session:
            models.forget(session, one.version)
            # Last, so that a failure here rolls the store back and it is tried again.
            registry.forget(one.version, one.run_id)
    return len(losers)
