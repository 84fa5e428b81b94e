"""A chunk of a plan: which of its items are changed, applied or taken back, and which are left
alone because somebody came between.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session

from llm_pipeline.domain.plans import MAKES, Blocked
from llm_pipeline.domain.records import LIVE, Action, Status
from llm_pipeline.store import settling
from llm_pipeline.store.columns import Id
from llm_pipeline.store.decisions import is_no_undo, is_undone
from llm_pipeline.store.planned import another_waits, is_active
from llm_pipeline.store.plans import Plan
from llm_pipeline.store.schema import LIVE_STATUSES, decisions, mappings, submissions
from llm_pipeline.store.schema_operations import plan_items, plan_leftovers
from llm_pipeline.store.settling import Act, Change

_i, _m, _d, _s = plan_items.c, mappings.c, decisions.c, submissions.c
_other = mappings.alias("other")
_VALUES_OF_LIVE = [status.value for status in LIVE]


@dataclass(frozen=True, slots=True)
class Span:
    """Items of a plan behind the mapping `after`, up to and with `upto`: `number` of them."""

    plan: Plan
    after: int
    upto: int
    number: int

    def covers(self) -> ColumnElement[bool]:
        return and_(
            _i.plan_id == self.plan.id, _i.mapping_id > self.after, _i.mapping_id <= self.upto
        )


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a span: mappings decided, live ones that gave way, and items left alone."""

    decided: int
    displaced: int
    left: int


def following(session: Session, plan: Plan, items: int) -> Span | None:
    """Return the items that come next, None behind the last."""
    some = (
        select(_i.mapping_id)
        .where(_i.plan_id == plan.id, _i.mapping_id > plan.cursor)
        .order_by(_i.mapping_id)
        .limit(items)
        .subquery()
    )
    upto, number = session.execute(select(func.max(some.c.mapping_id), func.count())).one()
    return None if upto is None else Span(plan, plan.cursor, upto, number)


def apply(session: Session, span: Span, act: Act) -> Done:
    """Decide about those items of a span that are as the preview found them."""
    return _settle(session, span, _applicable(span), act)


def undo(session: Session, span: Span, act: Act) -> Done:
    """Take back what the plan decided about the items of a span, but for what came after it."""
    return _settle(session, span, _undoable(span), act)


def _settle(session: Session, span: Span, rows: Select[Any], act: Act) -> Done:
    found = rows.subquery()
    fit = select(*(found.c[name] for name in Change.__slots__)).where(found.c.blocked.is_(None))
    chosen = settling.choose(session, fit)
    left = 0 if chosen == span.number else _leave(session, span, rows, act)
    settled = settling.settle(session, act)
    return Done(settled.decided, settled.displaced, left)


def _leave(session: Session, span: Span, rows: Select[Any], act: Act) -> int:
    found = rows.subquery()
    undoing = literal(act.action is Action.UNDO)
    left = select(literal(span.plan.id), undoing, found.c.mapping_id, found.c.blocked)
    into = insert(plan_leftovers).from_select(
        list(plan_leftovers.c), left.where(found.c.blocked.is_not(None))
    )
    return int(session.execute(into.execution_options(preserve_rowcount=True)).rowcount)  # type: ignore[attr-defined]


def _applicable(span: Span) -> Select[Any]:
    made = MAKES[span.plan.action]
    reasons = [(_changed(span.plan), Blocked.CHANGED.name)]
    joined = plan_items.join(mappings, _m.id == _i.mapping_id)
    if made in LIVE:
        joined = joined.outerjoin(_other, _is_live_beside())
        found, known = (_other.c.id, _other.c.version), (_i.displaced_id, _i.displaced_version)
        pairs = zip(found, known, strict=True)
        reasons += [
            (or_(*(a.is_distinct_from(b) for a, b in pairs)), Blocked.LIVE_CHANGED.name),
            (~is_active(_i.target_id), Blocked.RETIRED_TARGET.name),
        ]
    if made is Status.PENDING:
        reasons.append((another_waits(), Blocked.ANOTHER_WAITS.name))
    nothing = null().cast(Id)
    becomes = (literal(made.value), _i.target_id, nothing, nothing)
    return _rows(becomes, reasons).select_from(joined).where(span.covers())


def _changed(plan: Plan) -> ColumnElement[bool]:
    """Whether somebody changed a mapping since the preview. A model that looked at it again and
    would still have it become the same is nobody."""
    decided = exists().where(_d.mapping_id == _m.id, _d.decided_at >= plan.created_at)
    came = exists().where(_s.mapping_id == _m.id, _s.received_at >= plan.created_at)
    others = or_(_m.status != Status.PENDING.value, decided, came)
    if MAKES[plan.action] in LIVE and plan.target is None:
        becomes = func.coalesce(_m.proposed_target_id, _m.suggested_target_id)
        others = or_(others, becomes.is_distinct_from(_i.target_id))
    return and_(_m.version != _i.version, others)


def _undoable(span: Span) -> Select[Any]:
    made = MAKES[span.plan.action]
    restored = _d.previous_status
    as_made = and_(_m.status == made.value, _m.target_id.is_not_distinct_from(_d.target_id))
    back_live = and_(restored.in_(_VALUES_OF_LIVE), exists().where(_is_live_beside()))
    reasons = [
        (is_undone(_d.id), Blocked.UNDONE.name),
        (_decided_later(), Blocked.DECIDED.name),
        (~as_made, Blocked.SUPERSEDED.name),
        (and_(restored == Status.PENDING.value, another_waits()), Blocked.ANOTHER_WAITS.name),
        (back_live, Blocked.LIVE_CHANGED.name),
    ]
    becomes = (restored, _d.previous_target_id, _d.id, _d.displaced_mapping_id)
    # The span once more, so that nobody looks through all that the plan has decided.
    of_span = and_(
        _d.plan_id == span.plan.id, _d.mapping_id > span.after, _d.mapping_id <= span.upto
    )
    mine = and_(of_span, _d.mapping_id == _i.mapping_id, is_no_undo(_d.undoes))
    joined = plan_items.join(decisions, mine).join(mappings, _m.id == _i.mapping_id)
    return _rows(becomes, reasons).select_from(joined).where(span.covers())


def _rows(
    becomes: tuple[ColumnElement[Any], ...], reasons: list[tuple[ColumnElement[bool], str]]
) -> Select[Any]:
    names = Change.__slots__[1:]
    changes = [value.label(name) for name, value in zip(names, becomes, strict=True)]
    return select(_i.mapping_id, *changes, case(*reasons, else_=null().cast(Text)).label("blocked"))


def _is_live_beside() -> ColumnElement[bool]:
    """Whether `other` is the live mapping of the text of a row of `mappings`, and another one."""
    same = and_(_other.c.normalized == _m.normalized, _other.c.id != _m.id)
    return and_(same, text(f"other.{LIVE_STATUSES}"))


def _decided_later() -> ColumnElement[bool]:
    later = decisions.alias("later")
    return exists().where(
        later.c.mapping_id == _d.mapping_id,
        later.c.id > _d.id,
        is_no_undo(later.c.undoes),
        ~is_undone(later.c.id),
    )
