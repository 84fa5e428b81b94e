"""What a plan would change: the mappings that match, in a temporary table, with what each becomes
or why it cannot. What that comes to in all is in `consequences`.
"""

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Table,
    Text,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    text,
)
from sqlalchemy.orm import Session

from llm_pipeline.domain.plans import MAKES, NEEDS, Blocked
from llm_pipeline.domain.records import LIVE, Action
from llm_pipeline.store.columns import Id
from llm_pipeline.store.schema import LIVE_STATUSES, PENDING_STATUS, mappings, targets
from llm_pipeline.store.temporary import emptied

planned = Table(
    "planned_mappings",
    MetaData(),
    Column("mapping_id", Id, primary_key=True, autoincrement=False),
    Column("version", Id),
    Column("status", Text),
    Column("target_id", Id),
    Column("displaced_id", Id),
    Column("displaced_version", Id),
    Column("displaced_target_id", Id),
    Column("blocked", Text),
)
_TEMPORARY = {
    "planned_mappings": """mapping_id BIGINT PRIMARY KEY, version BIGINT, status TEXT,
        target_id BIGINT, displaced_id BIGINT, displaced_version BIGINT,
        displaced_target_id BIGINT, blocked TEXT"""
}
# Of a text that waits and is live both matched, the one that waits is the newer word.
_GIVE_WAY = """
    UPDATE planned_mappings SET blocked = :reason
    WHERE blocked IS NULL AND mapping_id IN (
        SELECT displaced_id FROM planned_mappings
        WHERE blocked IS NULL AND displaced_id IS NOT NULL)"""
# Only one mapping of a text can wait: the live one, else the newest.
_ONE_OF_A_TEXT = """
    UPDATE planned_mappings SET blocked = :reason
    WHERE blocked IS NULL AND mapping_id NOT IN (
        SELECT mapping_id FROM (
            SELECT p.mapping_id, row_number() OVER (
                PARTITION BY m.normalized
                ORDER BY CASE WHEN p.status = 'rejected' THEN 1 ELSE 0 END, m.id DESC) AS place
            FROM planned_mappings p JOIN mappings m ON m.id = p.mapping_id
            WHERE p.blocked IS NULL) AS ranked
        WHERE place = 1)"""

_m = mappings.c
_other = mappings.alias("other")


def put_down(
    session: Session, matching: ColumnElement[bool], action: Action, target_id: int | None
) -> None:
    """Put down every mapping that matches, with what the action makes of it or why it cannot."""
    emptied(session, _TEMPORARY)
    chosen = _chosen(action, target_id)
    own, blocked = (_m.id, _m.version, _m.status, chosen), _blocked(action, chosen)
    if MAKES[action] in LIVE:
        displaced = (_other.c.id, _other.c.version, _other.c.target_id)
        joined = mappings.outerjoin(
            _other,
            (_other.c.normalized == _m.normalized)
            & text(f"other.{LIVE_STATUSES}")
            & (_other.c.id != _m.id),
        )
        rows = select(*own, *displaced, blocked).select_from(joined)
    else:
        # No join that finds nothing: SQLite would go through all mappings for each.
        nothing = (null().cast(Id), null().cast(Integer), null().cast(Id))
        rows = select(*own, *nothing, blocked)
    session.execute(insert(planned).from_select(list(planned.c), rows.where(matching)))
    second = {Action.CORRECT: (_GIVE_WAY, Blocked.GIVES_WAY)}
    second[Action.REOPEN] = (_ONE_OF_A_TEXT, Blocked.ANOTHER_WAITS)
    if action in second:
        statement, reason = second[action]
        session.execute(text(statement), {"reason": reason.name})


def _chosen(action: Action, target_id: int | None) -> ColumnElement[int | None]:
    if MAKES[action] not in LIVE:
        return null().cast(Id)
    if target_id is not None:
        return literal(target_id).cast(Id)
    return func.coalesce(_m.proposed_target_id, _m.suggested_target_id)


def _blocked(action: Action, chosen: ColumnElement[int | None]) -> ColumnElement[str]:
    reasons: list[tuple[ColumnElement[bool], str]] = [
        (_m.status.not_in([status.value for status in NEEDS[action]]), Blocked.STATUS.name)
    ]
    if MAKES[action] in LIVE:
        reasons += [
            (chosen.is_(None), Blocked.NO_TARGET.name),
            (~is_active(chosen), Blocked.RETIRED_TARGET.name),
            (
                _m.status.in_([status.value for status in LIVE]) & (_m.target_id == chosen),
                Blocked.ALREADY.name,
            ),
        ]
    if action is Action.REOPEN:
        reasons.append((another_waits(), Blocked.ANOTHER_WAITS.name))
    return case(*reasons, else_=null().cast(Text))


def is_active(target_id: ColumnElement[int | None]) -> ColumnElement[bool]:
    """Whether a target can be chosen."""
    return exists().where(targets.c.id == target_id, targets.c.retired_at.is_(None))


def another_waits() -> ColumnElement[bool]:
    """Whether another mapping of the text of a row of `mappings` waits."""
    waiting = mappings.alias("waiting")
    return exists().where(
        waiting.c.normalized == _m.normalized,
        text(f"waiting.{PENDING_STATUS}"),
        waiting.c.id != _m.id,
    )


def number(session: Session) -> int:
    """Return how many mappings would be changed."""
    counted = select(func.count()).select_from(planned).where(planned.c.blocked.is_(None))
    return session.scalar(counted) or 0


def drop(session: Session) -> None:
    session.execute(text("DROP TABLE IF EXISTS planned_mappings"))
