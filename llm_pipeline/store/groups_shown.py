"""What a group of the queue is shown with: some of its texts, what is suggested and proposed for
them, and exactly what was seen.

A group may have a hundred thousand texts, so that only the oldest are looked at.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.review import Group, Seen, Suggested, WaitingText
from llm_pipeline.store import conflicts, leases, log, second_reviews
from llm_pipeline.store.schema import mappings, targets
from llm_pipeline.store.schema_derived import review_groups

TEXTS_LOOKED_AT = 20
TEXTS_SHOWN = 5
# SQLite puts at most 500 selects into one statement.
_GROUPS_AT_ONCE = 200

_OLDEST_TEXTS = """
    SELECT * FROM (
        SELECT key, id, text, rows, proposed_target_id, suggested_target_id, probability,
            model_version, conflict
        FROM mappings WHERE status = 'pending' AND key = :key{n} ORDER BY id LIMIT {number}
    ) AS group{n}"""

Targets = dict[int, tuple[str, bool]]


def shown(
    session: Session, keys: Sequence[str], at: datetime, looked_at: int = TEXTS_LOOKED_AT
) -> list[Group]:
    """Return groups in the order of their keys; those that wait no more are left out."""
    rows = _rows(session, keys)
    texts = _texts(session, list(rows), looked_at)
    names = _names(session, texts)
    disputed = [m.id for key in rows for m in texts[key] if m.conflict]
    proposals = conflicts.proposals(session, disputed)
    opinions = second_reviews.disputes(session, list(rows))
    held = leases.holders(session, list(rows), at)
    offset = log.latest(session)
    return [
        Group(
            **_summary(rows[key], texts[key], names, offset),
            proposals=conflicts.together(proposals[m.id] for m in texts[key] if m.conflict),
            opinions=opinions.get((key, rows[key].shuffle), ()),
            lease=held.get(key),
        )
        for key in keys
        if key in rows
    ]


def _rows(session: Session, keys: Sequence[str]) -> dict[str, Any]:
    oldest, newest = mappings.alias("oldest"), mappings.alias("newest")
    last = (
        select(newest.c.id)
        .where(newest.c.key == review_groups.c.key, text("newest.status = 'pending'"))
        .order_by(newest.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(review_groups, oldest.c.created_at, last.label("last_id"))
        .join(oldest, oldest.c.id == review_groups.c.oldest_id)
        .where(review_groups.c.key.in_(keys))
    )
    return {row.key: row for row in session.execute(query)}


def _texts(session: Session, keys: Sequence[str], number: int) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {key: [] for key in keys}
    for first in range(0, len(keys), _GROUPS_AT_ONCE):
        some = keys[first : first + _GROUPS_AT_ONCE]
        arms = [_OLDEST_TEXTS.format(n=n, number=int(number)) for n in range(len(some))]
        values = {f"key{n}": key for n, key in enumerate(some)}
        for row in session.execute(text(" UNION ALL ".join(arms)), values):
            found[row.key].append(row)
    return found


def _names(session: Session, texts: dict[str, list[Any]]) -> Targets:
    """Keys of the targets that are spoken of, and whether each can still be chosen."""
    ids = {
        target
        for rows in texts.values()
        for m in rows
        for target in (m.proposed_target_id, m.suggested_target_id)
        if target is not None
    }
    query = select(targets.c.id, targets.c.key, targets.c.retired_at.is_(None))
    return {row[0]: (row[1], row[2]) for row in session.execute(query.where(targets.c.id.in_(ids)))}


def _summary(row: Any, texts: Sequence[Any], names: Targets, offset: int) -> dict[str, Any]:
    chosen = Counter(_offered(m, names) for m in texts)
    offered = next((one for one, _ in chosen.most_common() if one is not None), None)
    most_rows = sorted(texts, key=lambda m: (-m.rows, m.id))[:TEXTS_SHOWN]
    return {
        "key": row.key,
        "mappings": row.mappings,
        "rows": row.rows,
        # Adding and taking away floats leaves crumbs.
        "value": max(0.0, row.value),
        "uncertainty": min(1.0, max(0.0, row.uncertainty)),
        "conflicts": row.conflicts,
        "oldest_at": row.created_at,
        "seen": Seen(
            row.key, row.shuffle, row.last_id, row.mappings, row.versions, offset, offered
        ),
        "looked_at": len(texts),
        "texts": tuple(_waiting_text(m, names) for m in most_rows),
        "offered": None if offered is None else names[offered][0],
        "differ": len(chosen) > 1,
        "suggestion": _suggested(texts, names),
    }


def _offered(m: Any, names: Targets) -> int | None:
    """What a plain approval of this text alone would mean."""
    for target in (m.proposed_target_id, m.suggested_target_id):
        if target is not None and names[target][1]:
            return int(target)
    return None


def _suggested(texts: Sequence[Any], names: Targets) -> Suggested | None:
    numbers = Counter(m.suggested_target_id for m in texts if m.suggested_target_id is not None)
    if not numbers:
        return None
    target, number = numbers.most_common(1)[0]
    those = [m for m in texts if m.suggested_target_id == target]
    probability = sum(m.probability or 0.0 for m in those) / number
    return Suggested(names[target][0], probability, those[-1].model_version or "", number)


def _waiting_text(m: Any, names: Targets) -> WaitingText:
    proposed, suggested = (
        None if target is None else names[target][0]
        for target in (m.proposed_target_id, m.suggested_target_id)
    )
    chance, conflict = m.probability or 0.0, bool(m.conflict)
    return WaitingText(m.id, m.text, m.rows, proposed, suggested, chance, conflict)
