"""Trainings that something asked for: once per reason and version of the data, taken up by a run,
ended with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.automation_events import LearningWanted
from llm_pipeline.domain.triggers import Trigger
from llm_pipeline.store import log
from llm_pipeline.store.schema_automation import wanted_trainings

_w = wanted_trainings.c


@dataclass(frozen=True, slots=True)
class Wish:
    """A training that is wanted: `asked_at` is when its run was asked for by whoever wants it,
    `started_at` when a run took it up."""

    id: int
    kind: Trigger
    version: str
    reason: str
    actor: str
    offset: int
    wanted_at: datetime
    asked_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    run_id: str | None
    outcome: str


def want(
    session: Session, kind: Trigger, version: str, reason: str, actor: str, at: datetime
) -> int | None:
    """Ask for a training; None if it was asked for by this reason and version of the data."""
    same = select(_w.id).where(_w.kind == kind.value, _w.version == version)
    if session.scalar(same) is not None:
        return None
    values = {
        "kind": kind.value,
        "version": version,
        "reason": reason,
        "actor": actor,
        "offset": log.next_offset(session),
        "wanted_at": at,
    }
    new = insert(wanted_trainings).values(values).returning(_w.id)
    wanted = session.scalar(new) or 0
    log.append(session, at, LearningWanted(actor, wanted, kind.value, version, reason))
    return wanted


def _wishes(session: Session, *conditions: object) -> list[Wish]:
    query = select(wanted_trainings).where(*conditions).order_by(_w.id)  # type: ignore[arg-type]
    return _read(session, query)


def _read(session: Session, query: Select[Any]) -> list[Wish]:
    return [Wish(row[0], Trigger(row[1]), *row[2:]) for row in session.execute(query)]


def waiting(session: Session) -> list[Wish]:
    """Return the wishes that no run has taken up yet, oldest first."""
    return _wishes(session, _w.ended_at.is_(None), _w.started_at.is_(None))


def under_way(session: Session) -> list[Wish]:
    """Return the wishes that a run has taken up and not ended."""
    return _wishes(session, _w.ended_at.is_(None), _w.started_at.is_not(None))


def wanted_before(session: Session, at: datetime) -> list[Wish]:
    """Return the wishes from before a time that have not ended."""
    return _wishes(session, _w.ended_at.is_(None), _w.wanted_at < at)


def history(session: Session, limit: int = 50) -> list[Wish]:
    """Return wishes, newest first."""
    return _read(session, select(wanted_trainings).order_by(_w.id.desc()).limit(limit))


def asked(session: Session, wish_id: int, run_id: str, at: datetime) -> None:
    """Record that whoever wants it has asked for a run."""
    values = {"asked_at": at, "run_id": run_id}
    session.execute(update(wanted_trainings).where(_w.id == wish_id).values(values))


def take_up(session: Session, run_id: str, at: datetime) -> list[Wish]:
    """Let a run that begins answer all that is wanted; return it."""
    found = waiting(session)
    ids = [wish.id for wish in found]
    values = {"started_at": at, "run_id": run_id}
    session.execute(update(wanted_trainings).where(_w.id.in_(ids)).values(values))
    return found


def end(session: Session, run_id: str, upto: int, outcome: str, at: datetime) -> Sequence[int]:
    """End the wishes of a run, and those up to `upto` that it was started for and never took up."""
    unfinished = _w.ended_at.is_(None)
    mine = (_w.run_id == run_id) | (_w.started_at.is_(None) & (_w.id <= upto))
    ids = list(session.scalars(select(_w.id).where(unfinished, mine)))
    values = {"ended_at": at, "outcome": outcome, "run_id": run_id}
    session.execute(update(wanted_trainings).where(_w.id.in_(ids)).values(values))
    return ids
