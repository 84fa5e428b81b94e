"""Numbers about all rows of a gate together, each counted by the database, with what it counted.

What they may be is in `gates.suites`; a number is None where too little is there to tell it.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, Subquery, Table, Text, func, inspect, select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.gate import LISTED, Figures, Listed
from llm_pipeline.domain.held_out import is_held_out
from llm_pipeline.domain.records import Status
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.store import activity, training
from llm_pipeline.store.gate_rows import Asked
from llm_pipeline.store.schema import (
    IN_CONFLICT,
    LIVE_STATUSES,
    PENDING_STATUS,
    live_spans,
    mappings,
    submissions,
    targets,
    uploads,
)
from llm_pipeline.store.schema_operations import training_sets

WEEK = timedelta(days=7)
WEEKS_BEFORE = 4
FEWEST = 100  # waiting texts, below which shares of them say little
SAMPLE = 20_000  # texts whose forms are made anew
AT_ONCE = 500
_WITHIN, _BETWEEN = "\x1f", "\x1e"  # no key holds control characters

_m, _s = mappings.c, submissions.c
_TABLES: dict[str, tuple[Table, ...]] = {
    "submissions": (submissions, uploads),
    "approved_mappings": (mappings, targets),
    "training_set": (mappings, targets, live_spans, training_sets),
    "predictions": (mappings, targets),
}


def figures(session: Session, asked: Asked, at: datetime) -> Figures:
    """Return the numbers that a suite has rules for."""
    found = _OF_SUITE[asked.suite](session, asked, at)
    gaps = schema_gaps(session, _TABLES[asked.suite])
    listed = [Listed("column", name, problem) for name, problem in gaps.items()]
    return Figures(
        {"schema_gaps": float(len(gaps)), **found.values}, {"schema_gaps": listed, **found.listed}
    )


def schema_gaps(session: Session, tables: tuple[Table, ...]) -> dict[str, str]:
    """Return how the database's tables differ from those that this version writes to."""
    there = inspect(session.connection())
    problems = {}
    for table in tables:
        found = {column["name"]: column for column in there.get_columns(table.name)}
        for column in table.columns:
            name = f"{table.name}.{column.name}"
            if column.name not in found:
                problems[name] = "it is missing"
            elif not column.nullable and found[column.name]["nullable"]:
                problems[name] = "it may be empty"
    return problems


def _of_submissions(session: Session, asked: Asked, at: datetime) -> Figures:
    doubled = (
        select(_s.upload_id, _s.row, func.count().label("times"))
        .where(_s.id > asked.after, _s.upload_id.is_not(None), _s.row.is_not(None))
        .group_by(_s.upload_id, _s.row)
        .having(func.count() > 1)
        .subquery()
    )
    some = session.execute(select(doubled).limit(LISTED))
    listed = [Listed("row of a file", f"upload {r[0]}, row {r[1]}", f"{r[2]} times") for r in some]
    number = len(listed)
    if number == LISTED:
        number = session.scalar(select(func.count()).select_from(doubled)) or 0
    return Figures(
        {
            "doubled_rows": float(number),
            "conflict_share": _conflict_share(session),
            "volume_ratio": volume_ratio(session, at),
        },
        {"doubled_rows": listed},
    )


def _conflict_share(session: Session) -> float | None:
    """The share of waiting texts whose submissions propose different targets."""
    waiting = select(func.count()).select_from(mappings).where(text(PENDING_STATUS))
    disputed = select(func.count()).select_from(mappings).where(text(IN_CONFLICT))
    number = session.scalar(waiting) or 0
    return (session.scalar(disputed) or 0) / number if number >= FEWEST else None


def volume_ratio(session: Session, at: datetime) -> float | None:
    """Return the rows of the last seven days over those of a mean week of the four before; None in
    an installation that is younger than that."""
    begin = at - (WEEKS_BEFORE + 1) * WEEK
    if activity.total(session, activity.RECEIVED) == activity.since(
        session, activity.RECEIVED, begin + WEEK
    ):
        return None
    last = activity.since(session, activity.RECEIVED, at - WEEK)
    before = activity.since(session, activity.RECEIVED, begin) - last
    return None if before <= 0 else last * WEEKS_BEFORE / before


def _of_live(session: Session, _asked: Asked, _at: datetime) -> Figures:
    texts, _, largest = _balance(session, select(_m.target_id).where(text(LIVE_STATUSES)))
    return Figures({"texts": float(texts), "largest_share": largest if texts >= FEWEST else None})


def _balance(session: Session, of_texts: Select[Any]) -> tuple[int, int, float | None]:
    """How many texts there are, how many targets they have, and the share of the most frequent."""
    target = of_texts.subquery().c[0]
    counts = (
        select(target.label("target"), func.count().label("number")).group_by(target).subquery()
    )
    total = select(
        func.sum(counts.c.number), func.count(counts.c.target), func.max(counts.c.number)
    )
    number, targets, most = session.execute(total).one()
    return int(number or 0), int(targets), int(most) / int(number) if number else None


def _of_training_set(session: Session, asked: Asked, _at: datetime) -> Figures:
    live = training.live_at(asked.as_of).subquery()
    texts, values, largest = _balance(session, select(live.c.target_id))
    changed = (
        select(func.count(func.distinct(live_spans.c.mapping_id)))
        .where(live_spans.c.live_to <= asked.as_of)
        .where(live_spans.c.ended_by.in_(["superseded", "corrected"]))
    )
    enough = texts >= FEWEST
    leaked, listed = _leaked(session, live)
    stale = _stale(session)
    return Figures(
        {
            "texts": float(texts),
            "targets": float(values),
            "largest_share": largest if enough else None,
            "conflict_share": (session.scalar(changed) or 0) / texts if enough else None,
            # A tenth of the keys test, chosen by a hash.
            "leaked_share": leaked / (texts / 10) if enough else None,
            "stale_share": stale[0],
            "volume_ratio": _growth(session, asked.as_of),
        },
        {"leaked_share": listed, "stale_share": stale[1]},
    )


def _leaked(session: Session, live: Subquery) -> tuple[int, list[Listed]]:
    """How many texts test though one that has the same words, written together, teaches."""
    compact = func.replace(_m.key, " ", "").label("compact")
    keys = (
        select(compact, _m.key, func.count().label("texts"))
        .select_from(live.join(mappings, _m.id == live.c.id))
        .group_by(compact, _m.key)
        .subquery()
    )
    # As one text, so that rows are sorted once: to look keys up again took as long.
    told = keys.c.key.concat(_WITHIN).concat(keys.c.texts.cast(Text))
    query = (
        select(func.aggregate_strings(told, _BETWEEN))
        .group_by(keys.c.compact)
        .having(func.count() > 1)
        .order_by(keys.c.compact)
        .execution_options(yield_per=5_000)
    )
    number, listed = 0, list[Listed]()
    for alike in session.scalars(query):
        for tests, teaches, texts in _on_both_sides(alike):
            number += texts
            if len(listed) < LISTED:
                listed.append(Listed("key", tests, f"'{teaches}' teaches the same words"))
    return number, listed


def _on_both_sides(alike: str) -> Iterator[tuple[str, str, int]]:
    pairs = [one.split(_WITHIN) for one in alike.split(_BETWEEN)]
    teaches = min((key for key, _ in pairs if not is_held_out(key)), default=None)
    if teaches is not None:
        yield from ((key, teaches, int(texts)) for key, texts in pairs if is_held_out(key))


def _stale(session: Session) -> tuple[float | None, list[Listed]]:
    """The share of texts, of a sample spread evenly, whose form and key do not follow from them:
    which key holds out a text is decided by them."""
    newest = session.scalar(select(func.max(_m.id))) or 0
    ids = range(1, newest + 1, max(1, newest // SAMPLE))
    looked_at, listed = 0, list[Listed]()
    for start in range(0, len(ids), AT_ONCE):
        some = list(ids[start : start + AT_ONCE])
        query = select(_m.id, _m.text, _m.normalized, _m.key).where(
            _m.id.in_(some), _m.live_from.is_not(None)
        )
        for row in session.execute(query):
            looked_at += 1
            form = normalize(row.text)
            if (form, group_key(form)) != (row.normalized, row.key):
                told = (
                    f"'{row.normalized}' under '{row.key}' for '{form}' under '{group_key(form)}'"
                )
                listed.append(Listed("mapping", str(row.id), told))
    return (len(listed) / looked_at if looked_at else None), listed


def _growth(session: Session, as_of: int) -> float | None:
    """Texts of a training set over those of the one before."""
    sizes = select(training_sets.c.texts).where(training_sets.c.as_of <= as_of)
    two = session.scalars(sizes.order_by(training_sets.c.as_of.desc()).limit(2)).all()
    return two[0] / two[1] if len(two) == 2 and two[1] >= FEWEST else None


def _of_predictions(session: Session, _asked: Asked, _at: datetime) -> Figures:
    counts = (
        select(_m.suggested_target_id, func.count().label("number"))
        .where(_m.status == Status.PENDING.value, _m.model_version.is_not(None))
        .group_by(_m.suggested_target_id)
        .subquery()
    )
    answered = counts.c.suggested_target_id.is_not(None)
    number, given, most = session.execute(
        select(
            func.sum(counts.c.number),
            func.sum(counts.c.number).filter(answered),
            func.max(counts.c.number).filter(answered),
        )
    ).one()
    number, given = int(number or 0), int(given or 0)
    return Figures(
        {
            "largest_share": int(most) / given if given >= FEWEST else None,
            "unanswered_share": 1 - given / number if number >= FEWEST else None,
        }
    )


_OF_SUITE: dict[str, Callable[[Session, Asked, datetime], Figures]] = {
    "submissions": _of_submissions,
    "approved_mappings": _of_live,
    "training_set": _of_training_set,
    "predictions": _of_predictions,
}
