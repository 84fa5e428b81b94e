"""What the recogniser learns from: live mappings at an offset, and labelled rows in time order.

The same `as_of` gives the same rows for ever: a mapping that is no longer live keeps the spans of
offsets in which it was, and submissions are only ever added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    exists,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.store import extra_columns
from llm_pipeline.store.schema import (
    LIVE_STATUSES,
    decisions,
    live_spans,
    mappings,
    submissions,
    targets,
    uploads,
)
from llm_pipeline.store.schema_operations import training_sets

_M = mappings.c
_S = submissions.c
_SPAN = live_spans.c
_ENDED = live_spans.alias("ended")
IS_LIVE = _M.status.in_([Status.APPROVED.value, Status.AUTO_APPROVED.value])
# What a policy approved teaches nothing until a person confirms it: a recogniser that learned from
# its own answers would grow surer of them without a reason, and test itself on them.
_APPROVED = _M.status == Status.APPROVED.value
# SQLite would go through all that is approved for the few that became so since.
_BY_LIVE_FROM = ("INDEXED BY ix_mappings_live_from", "sqlite")
_MADE = decisions.alias("made_by_policy")


def _by_person(mapping: ColumnElement[int], live_from: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether what became live then was not approved by a policy."""
    return ~exists().where(
        _MADE.c.policy_id.is_not(None), _MADE.c.mapping_id == mapping, _MADE.c.offset == live_from
    )


class LiveChange(NamedTuple):
    """A text that began to mean `target` after an offset, or nothing any more (`target` null)."""

    text: str
    target: str | None


@dataclass(frozen=True, slots=True)
class Learned:
    """How many texts began to mean something, and the offset of the newest of them."""

    texts: int
    newest: int


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A frozen training set: its offset, its size and the digest of its content."""

    as_of: int
    rows: int
    texts: int
    targets: int
    digest: str
    built_at: datetime


def live_at(as_of: int, *, automatic: bool = False) -> Select[tuple[int, int | None, int | None]]:
    """Mapping, target and first live offset of every text that was live at an offset; those that a
    policy approved only if `automatic`."""
    now = select(_M.id, _M.target_id, _M.live_from).where(IS_LIVE, _M.live_from <= as_of)
    then = select(_SPAN.mapping_id, _SPAN.target_id, _SPAN.live_from).where(
        _SPAN.live_from <= as_of, _SPAN.live_to > as_of
    )
    if not automatic:
        now = now.where(_APPROVED)
        then = then.where(_by_person(_SPAN.mapping_id, _SPAN.live_from))
    both = union_all(now, then).subquery()
    return select(both.c.id, both.c.target_id, both.c.live_from)


def _labels_at(as_of: int) -> Subquery:
    """As `live_at`, with the texts that had given way to a newer label by then, and without a
    target those that a person had rejected or put back."""
    live = live_at(as_of)
    last = (
        select(func.max(_SPAN.live_to))
        .where(_SPAN.mapping_id == _ENDED.c.mapping_id, _SPAN.live_to <= as_of)
        .correlate(_ENDED)
        .scalar_subquery()
    )
    kept = case((_ENDED.c.ended_by == "superseded", _ENDED.c.target_id))
    ended = select(_ENDED.c.mapping_id, kept, _ENDED.c.live_from).where(
        _ENDED.c.live_to == last,
        _by_person(_ENDED.c.mapping_id, _ENDED.c.live_from),
        _ENDED.c.mapping_id.not_in(select(live.subquery().c.id)),
    )
    return union_all(live, ended).subquery()


def live_texts(
    session: Session, as_of: int, *, extra: Sequence[str] = (), automatic: bool = False
) -> pd.DataFrame:
    """Return one line per text that was live at `as_of`; those that a policy approved teach
    nothing, and are there only if `automatic`.

    Columns: mapping_id, text, normalized, key, target (null if the catalogue has no such entry:
    the training gate must see it), active (whether the target can still be chosen), rows
    (submissions received by then), and with names of `extra` columns their values in `extra`, by
    the newest labelled submission. The text seen last comes last, so that whoever learns in this
    order ends with the newest label.
    """
    live = live_at(as_of, automatic=automatic).subquery()
    rows = (
        select(_S.mapping_id, func.count().label("rows"), func.max(_S.id).label("last_submission"))
        .where(_S.received_offset <= as_of)
        .group_by(_S.mapping_id)
        .subquery()
    )
    query = (
        select(
            _M.id.label("mapping_id"),
            _M.text,
            _M.normalized,
            _M.key,
            targets.c.key.label("target"),
            and_(targets.c.id.is_not(None), targets.c.retired_at.is_(None)).label("active"),
            func.coalesce(rows.c.rows, 0).label("rows"),
        )
        .select_from(
            live.join(mappings, _M.id == live.c.id)
            .outerjoin(targets, targets.c.id == live.c.target_id)
            .outerjoin(rows, rows.c.mapping_id == _M.id)
        )
        .order_by(rows.c.last_submission, _M.id)
    )
    frame = _frame(session, query)
    frame["active"] = frame["active"].fillna(value=False).astype(bool)
    if extra:
        said = extra_columns.of_live(session, live, as_of, extra)
        beside = [said.get(mapping) for mapping in frame["mapping_id"]]
        frame = frame.assign(extra=pd.Series(beside, dtype=object))
    return frame


def labelled_rows(
    session: Session, as_of: int, *, detailed: bool = False, extra: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one line per submission that somebody labelled by `as_of`, in time order.

    Columns: normalized, key, target; with `detailed` also text and at (the time of the row), and
    with names of `extra` columns their values in `extra`: a training has no use for these, and
    would keep them in memory.

    These are the rows of trusted files and the rows that waited when a person decided; a repeat
    that joined a live mapping later was checked by nobody and is left out. A row keeps the label it
    had when a newer one superseded it, because that is what a recogniser had to answer at its time;
    a corrected row has the corrected label, a rejected one none. The time is the row's own where it
    has one, else its arrival.
    """
    at = func.coalesce(_S.occurred_at, _S.received_at)
    labels = _labels_at(as_of)
    trusted = func.coalesce(uploads.c.lands_as == Status.APPROVED.value, false())
    label = case(
        (and_(trusted, labels.c.id.is_(None)), _S.target_id),
        (or_(trusted, _S.received_offset < labels.c.live_from), labels.c.target_id),
    )
    query = (
        select(
            _M.normalized,
            _M.key,
            targets.c.key.label("target"),
            *((_S.text, at.label("at")) if detailed else ()),
            *(extra_columns.COLUMNS if extra else ()),
        )
        .select_from(
            submissions.join(mappings, _M.id == _S.mapping_id)
            .outerjoin(uploads, uploads.c.id == _S.upload_id)
            .outerjoin(labels, labels.c.id == _M.id)
            .join(targets, targets.c.id == label)
        )
        .where(_S.received_offset <= as_of)
        .order_by(at, _S.id)
    )
    return _frame_beside(session, query, extra) if extra else _frame(session, query)


def _frame(session: Session, query: Select[Any]) -> pd.DataFrame:
    result = session.execute(query)
    return pd.DataFrame(result.fetchall(), columns=list(result.keys()))


def _frame_beside(session: Session, query: Select[Any], names: Sequence[str]) -> pd.DataFrame:
    """Return a frame whose last columns became the named values of each row."""
    own = len(query.selected_columns) - len(extra_columns.COLUMNS)
    result = session.execute(query)
    rows = result.fetchall()
    frame = pd.DataFrame([row[:own] for row in rows], columns=list(result.keys())[:own])
    beside = [extra_columns.said(row[own:], names) for row in rows]
    return frame.assign(extra=pd.Series(beside, dtype=object))


def live_changes(session: Session, after: int) -> list[LiveChange]:
    """Return how texts changed their meaning after an offset, in an order that can be replayed."""
    begun = (
        select(_M.text, _M.normalized, targets.c.key, _M.live_from.label("at"))
        .join(targets, targets.c.id == _M.target_id)
        .where(_APPROVED, _M.live_from > after)
        .with_hint(mappings, *_BY_LIVE_FROM)
    )
    again = mappings.alias("again")
    known_again = exists().where(
        again.c.normalized == _M.normalized, text(f"again.{LIVE_STATUSES}")
    )
    ended = (
        select(_M.text, _M.normalized, literal(None).label("key"), live_spans.c.live_to.label("at"))
        .join(live_spans, live_spans.c.mapping_id == _M.id)
        .where(live_spans.c.live_to > after, ~known_again)
    )
    rows = [*session.execute(ended), *session.execute(begun)]
    return [LiveChange(row[0], row[2]) for row in sorted(rows, key=lambda row: row[3])]


def learned_since(session: Session, as_of: int, most: int | None = None) -> Learned:
    """Return what a training would add to one that ended at `as_of`, counted up to `most`."""
    new = (
        select(_M.live_from)
        .where(_APPROVED, _M.live_from > as_of)
        .with_hint(mappings, *_BY_LIVE_FROM)
    )
    some = new.limit(most).subquery()
    number = session.scalar(select(func.count()).select_from(some)) or 0
    newest = session.scalar(new.order_by(_M.live_from.desc()).limit(1))
    return Learned(number, newest or as_of)


def save_training_set(session: Session, new: TrainingSet) -> None:
    """Record a training set; building the same one again changes nothing."""
    if _training_set(session, new.as_of) is not None:
        return
    session.execute(
        insert(training_sets).values(
            as_of=new.as_of,
            rows=new.rows,
            texts=new.texts,
            targets=new.targets,
            digest=new.digest,
            built_at=new.built_at,
        )
    )


def _training_set(session: Session, as_of: int) -> TrainingSet | None:
    row = session.execute(select(training_sets).where(training_sets.c.as_of == as_of)).first()
    return None if row is None else TrainingSet(*row)


def latest_training_set(session: Session) -> TrainingSet | None:
    """Return the training set built last, whether or not its gate let it pass."""
    query = select(training_sets).order_by(training_sets.c.as_of.desc()).limit(1)
    row = session.execute(query).first()
    return None if row is None else TrainingSet(*row)
