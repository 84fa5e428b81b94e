"""Decisions about whole groups: whether what a reviewer saw still stands, the chunks in which it is
settled, and the way back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, func, insert, select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action, Status
from llm_pipeline.domain.review import Seen
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.store import decisions
from llm_pipeline.store.schema import PENDING_STATUS, mappings, targets
from llm_pipeline.store.schema import decisions as decisions_table
from llm_pipeline.store.schema_review import group_chunks, group_decisions
from llm_pipeline.store.settling import Act, Change, choose, settle

_M, _D = mappings.c, decisions_table.c
_PENDING = text(f"mappings.{PENDING_STATUS}")


@dataclass(frozen=True, slots=True)
class Member:
    """A mapping of a group as it was seen."""

    mapping_id: int
    version: int
    rows: int


@dataclass(frozen=True, slots=True)
class Made:
    """A stored decision about groups."""

    id: int
    action: Action
    target: str | None
    actor: str
    keys: list[str]
    undoes: int | None


@dataclass(frozen=True, slots=True)
class Settled:
    """What a chunk changed."""

    mappings: int = 0
    rows: int = 0
    displaced: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(
            self.mappings + other.mappings,
            self.rows + other.rows,
            self.displaced + other.displaced,
        )


def members(session: Session, seen: Seen) -> list[Member]:
    """Return the mappings of a group that a reviewer saw, each as it stood then.

    Raises Conflict, with who decided what and when, if one of them changed.
    """
    rows = session.execute(
        select(_M.id, _M.version, _M.rows)
        .where(_M.key == seen.key, _PENDING, _M.id <= seen.last_id)
        .order_by(_M.id)
    ).all()
    as_seen = len(rows) == seen.mappings and sum(row.version for row in rows) == seen.versions
    if not as_seen or _decided_since(session, seen):
        raise Conflict(
            f"the group {seen.key!r} is not what it was: {_who(session, seen)}; "
            "read it again and decide again"
        )
    return [Member(*row) for row in rows]


def _decided_since(session: Session, seen: Seen) -> bool:
    # From the group's mappings to their decisions: since then a plan may have made 100,000 others.
    those = select(_M.id).where(_M.key == seen.key, _PENDING, _M.id <= seen.last_id)
    query = select(_D.id).where(_D.mapping_id.in_(those), _D.offset > seen.offset)
    return session.execute(query.limit(1)).first() is not None


def _who(session: Session, seen: Seen) -> str:
    newest = session.scalar(
        select(_D.mapping_id)
        .join(mappings, _M.id == _D.mapping_id)
        .where(_D.offset > seen.offset, _M.key == seen.key, _M.id <= seen.last_id)
        .order_by(_D.id.desc())
        .limit(1)
    )
    told = None if newest is None else decisions.last(session, newest)
    return "an upload or a model changed it" if told is None else str(told)


def arrived_since(session: Session, seen: Seen) -> int:
    """Return how many mappings of a group came after those that were seen."""
    query = select(func.count()).select_from(mappings)
    return session.scalar(query.where(_M.key == seen.key, _PENDING, _M.id > seen.last_id)) or 0


def unchanged(session: Session, some: Sequence[Member]) -> list[Member]:
    """Return those that still wait as they were seen."""
    ids = [member.mapping_id for member in some]
    query = select(_M.id, _M.version).where(_M.id.in_(ids), _PENDING)
    versions = {row[0]: row[1] for row in session.execute(query)}
    return [member for member in some if versions.get(member.mapping_id) == member.version]


def record(
    session: Session,
    act: Act,
    keys: Sequence[str],
    target_id: int | None = None,
    undoes: int | None = None,
) -> int:
    """Add what somebody said of groups, and return its id."""
    new = insert(group_decisions).values(
        action=act.action.value,
        target_id=target_id,
        actor=act.actor,
        reason=act.reason,
        keys=list(keys),
        undoes=undoes,
        decided_at=act.at,
    )
    return int(session.execute(new.returning(group_decisions.c.id)).scalar_one())


def get(session: Session, group_id: int) -> Made:
    """Return a decision about groups; NotFound if there is none of that id."""
    g = group_decisions.c
    query = select(g.id, g.action, targets.c.key, g.actor, g["keys"], g.undoes)
    row = session.execute(
        query.select_from(group_decisions.outerjoin(targets, targets.c.id == g.target_id)).where(
            g.id == group_id
        )
    ).first()
    if row is None:
        raise NotFound(f"there is no decision {group_id} about a group")
    return Made(row[0], Action(row[1]), *row[2:])


def settle_chunk(
    session: Session, group_id: int, act: Act, some: Sequence[Member], target_id: int | None
) -> Settled:
    """Decide about mappings that were just found unchanged."""
    status = _made(act.action)
    return _settle(
        session,
        group_id,
        act,
        [Change(member.mapping_id, status, target_id) for member in some],
        sum(member.rows for member in some),
    )


def _settle(
    session: Session, group_id: int, act: Act, changes: Sequence[Change], rows: int
) -> Settled:
    choose(session, changes)
    done = settle(session, act)
    session.execute(insert(group_chunks).values(group_id=group_id, offset=act.offset))
    return Settled(done.decided, rows, done.displaced)


def chunks(session: Session, group_id: int) -> list[int]:
    """Return the offsets of the chunks in which groups were settled."""
    c = group_chunks.c
    query = select(c.offset).where(c.group_id == group_id).order_by(c.offset)
    return list(session.scalars(query))


def undo_chunk(session: Session, group_id: int, undone: Made, offset: int, act: Act) -> Settled:
    """Take back one chunk of a decision about groups, as far as it still stands."""
    later = decisions_table.alias("later")
    other = mappings.alias("other")
    newer = exists().where(later.c.mapping_id == _D.mapping_id, later.c.id > _D.id)
    waits_already = exists().where(
        other.c.normalized == _M.normalized, other.c.id != _M.id, text("other.status = 'pending'")
    )
    found = session.execute(
        select(_D.mapping_id, _D.previous_target_id, _D.id, _D.displaced_mapping_id, _M.rows)
        .join(mappings, _M.id == _D.mapping_id)
        .where(_D.offset == offset, _M.status == _made(undone.action).value)
        .where(~newer, ~waits_already)
        .order_by(_D.id)
    ).all()
    if not found:
        return Settled()
    changes = [Change(m, Status.PENDING, was, undoes, back) for m, was, undoes, back, _ in found]
    return _settle(session, group_id, act, changes, sum(row.rows for row in found))


def _made(action: Action) -> Status:
    made = {Action.REJECT: Status.REJECTED, Action.SKIP: Status.PENDING}
    return made.get(action, Status.APPROVED)


def standing(session: Session, group_id: int) -> int:
    """Return how many decisions of a group were not undone."""
    undone = decisions_table.alias("undone")
    query = (
        select(func.count())
        .select_from(group_chunks.join(decisions_table, _D.offset == group_chunks.c.offset))
        .where(group_chunks.c.group_id == group_id, ~exists().where(undone.c.undoes == _D.id))
    )
    return session.scalar(query) or 0


def undone_by(session: Session, group_id: int, before: int) -> str:
    """Return who took a decision about groups back before the one given, or an empty string."""
    g = group_decisions.c
    query = select(g.actor).where(g.undoes == group_id, g.id < before).order_by(g.id.desc())
    return session.scalar(query.limit(1)) or ""
