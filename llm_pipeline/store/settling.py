"""Decisions, one or a hundred thousand at once: mappings change, a decision is added for each,
their live spans are kept.

The mappings to change are put into a temporary table with what each becomes; the statements that
follow read the same on SQLite and PostgreSQL.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, MetaData, Select, Table, Text, insert, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action, Status
from llm_pipeline.store import activity, touched
from llm_pipeline.store.columns import Id
from llm_pipeline.store.schema import LIVE_STATUSES
from llm_pipeline.store.staging import with_times
from llm_pipeline.store.temporary import emptied

_ENDS = {
    Action.APPROVE: "superseded",
    Action.CORRECT: "corrected",
    Action.REJECT: "rejected",
    Action.REOPEN: "reopened",
    Action.UNDO: "undone",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a mapping becomes: `undoes` is the decision that is taken back, `revives` the mapping
    that this decision had displaced."""

    mapping_id: int
    status: Status
    target_id: int | None
    undoes: int | None = None
    revives: int | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """What was decided, by whom and why, for all mappings it changes; `follows` if they only follow
    a decision about something else, and nobody looked at them."""

    action: Action
    actor: str
    reason: str
    at: datetime
    offset: int
    plan_id: int | None = None
    follows: bool = False
    policy_id: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """How many mappings an act changed, and how many live ones gave way to them."""

    decided: int
    displaced: int


chosen_mappings = Table(
    "chosen_mappings",
    MetaData(),
    Column("mapping_id", Id, primary_key=True, autoincrement=False),
    Column("status", Text),
    Column("target_id", Id),
    Column("undoes", Id),
    Column("revives", Id),
    Column("displaced_id", Id),
)

_TEMPORARY = {
    "chosen_mappings": """mapping_id BIGINT PRIMARY KEY, status TEXT NOT NULL, target_id BIGINT,
        undoes BIGINT, revives BIGINT, displaced_id BIGINT"""
}
_FIND_DISPLACED = f"""
    UPDATE chosen_mappings SET displaced_id = (
        SELECT other.id FROM mappings m JOIN mappings other ON other.normalized = m.normalized
        WHERE m.id = chosen_mappings.mapping_id AND other.id <> m.id
          AND other.{LIVE_STATUSES})
    WHERE {LIVE_STATUSES}"""  # noqa: S608
# A text that is decided twice at once, as it waits and as it is live: the newer word counts.
_LEAVE_DISPLACED = """
    DELETE FROM chosen_mappings WHERE mapping_id IN (
        SELECT displaced_id FROM chosen_mappings WHERE displaced_id IS NOT NULL)"""
_ALL = """
    SELECT mapping_id AS id FROM chosen_mappings
    UNION SELECT displaced_id FROM chosen_mappings WHERE displaced_id IS NOT NULL
    UNION SELECT revives FROM chosen_mappings WHERE revives IS NOT NULL"""
# Cross joins, because SQLite keeps their order: else it may go through all mappings.
_CLOSE_SPANS = f"""
    INSERT INTO live_spans (mapping_id, target_id, live_from, live_to, ended_by)
    SELECT m.id, m.target_id, m.live_from, :offset, :ended_by
    FROM chosen_mappings c CROSS JOIN mappings m
    WHERE m.id = c.mapping_id AND m.{LIVE_STATUSES}
    UNION ALL
    SELECT m.id, m.target_id, m.live_from, :offset, 'superseded'
    FROM chosen_mappings c CROSS JOIN mappings m WHERE m.id = c.displaced_id"""  # noqa: S608
_DECIDE = """
    INSERT INTO decisions (mapping_id, action, target_id, actor, reason, previous_status,
        previous_target_id, previous_conflict, displaced_mapping_id, displaced_status, undoes,
        suggested_target_id, probability, model_version, plan_id, policy_id, "offset", decided_at)
    SELECT m.id, :action, c.target_id, :actor, :reason, m.status, m.target_id, m.conflict,
        c.displaced_id, other.status, c.undoes, m.suggested_target_id, m.probability,
        m.model_version, CAST(:plan_id AS BIGINT),
        -- What an undo makes automatically approved again is so by the policy of old.
        CASE WHEN c.status = 'auto_approved' THEN coalesce(CAST(:policy_id AS BIGINT), (
            SELECT max(made.policy_id) FROM decisions made
            WHERE made.mapping_id = m.id AND made.policy_id IS NOT NULL)) END,
        :offset, :at
    FROM chosen_mappings c CROSS JOIN mappings m
        LEFT JOIN mappings other ON other.id = c.displaced_id
    WHERE m.id = c.mapping_id ORDER BY c.mapping_id"""
_RETIRE_DISPLACED = """
    UPDATE mappings SET status = 'retired', live_from = NULL, version = version + 1,
        updated_at = :at
    WHERE id IN (SELECT displaced_id FROM chosen_mappings)"""
# The second condition leads SQLite to the rows; by the join alone it goes through all mappings.
_CHANGE = f"""
    UPDATE mappings SET status = c.status, target_id = c.target_id,
        live_from = CASE WHEN c.{LIVE_STATUSES} THEN :offset END,
        conflict = CASE WHEN c.undoes IS NULL THEN mappings.conflict AND :action = 'skip'
            ELSE coalesce((SELECT d.previous_conflict FROM decisions d WHERE d.id = c.undoes),
                          false) END,
        version = mappings.version + 1, updated_at = :at
    FROM chosen_mappings c
    WHERE c.mapping_id = mappings.id AND mappings.id IN (SELECT mapping_id FROM chosen_mappings)"""  # noqa: S608
_REVIVE = """
    UPDATE mappings SET live_from = :offset, version = version + 1, updated_at = :at,
        status = coalesce((
            SELECT d.displaced_status FROM chosen_mappings c JOIN decisions d ON d.id = c.undoes
            WHERE c.revives = mappings.id), 'approved')
    WHERE status = 'retired' AND id IN (SELECT revives FROM chosen_mappings)"""
_SUGGESTED = """
    SELECT count(CASE WHEN m.status = 'pending' THEN m.suggested_target_id END),
        count(CASE WHEN m.status = 'pending' AND m.suggested_target_id = c.target_id THEN 1 END),
        count(*)
    FROM chosen_mappings c CROSS JOIN mappings m WHERE m.id = c.mapping_id"""


def choose(session: Session, changes: Sequence[Change] | Select[Any]) -> int:
    """Put down which mappings are to change and what each becomes; return how many.

    A query gives the columns of `Change` in their order.
    """
    emptied(session, _TEMPORARY)
    into = insert(chosen_mappings)
    if isinstance(changes, Select):
        session.execute(into.from_select(list(Change.__slots__), changes))
        return session.scalar(text("SELECT count(*) FROM chosen_mappings")) or 0
    session.execute(into, [asdict(change) for change in changes])
    return len(changes)


def settle(session: Session, act: Act) -> Settled:
    """Change the chosen mappings as `choose` has put down, and add a decision for each.

    IntegrityError if a text would wait twice: the caller leaves such mappings out, or tells.
    """
    values = asdict(act) | {
        "action": act.action.value,
        "ended_by": _ENDS.get(act.action, "superseded"),
    }
    session.execute(text(_FIND_DISPLACED))
    session.execute(text(_LEAVE_DISPLACED))
    _tally(session, act)
    with touched.changing(session, _ALL):
        _run(session, _CLOSE_SPANS, values)
        decided = _run(session, _DECIDE, values)
        displaced = _run(session, _RETIRE_DISPLACED, values)
        _run(session, _CHANGE, values)
        if act.action is Action.UNDO:
            _run(session, _REVIVE, values)
    return Settled(decided, displaced)


def _run(session: Session, statement: str, values: dict[str, Any]) -> int:
    given = {name: value for name, value in values.items() if f":{name}" in statement}
    return _changed(session.execute(with_times(statement), given))


def _changed(result: object) -> int:
    return int(result.rowcount)  # type: ignore[attr-defined]


def _tally(session: Session, act: Act) -> None:
    suggested, taken, number = session.execute(text(_SUGGESTED)).one()
    if act.follows or act.policy_id is not None:
        kind = activity.MOVED if act.follows else activity.AUTO_APPROVED
        activity.add(session, act.at, act.actor, {kind: number})
        return
    counts = {act.action.value: number}
    if act.action in (Action.APPROVE, Action.CORRECT, Action.REJECT):
        counts |= {activity.SUGGESTED: suggested, activity.TAKEN: taken}
    activity.add(session, act.at, act.actor, counts)
