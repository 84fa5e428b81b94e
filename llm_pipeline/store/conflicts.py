"""Texts that wait because their submissions propose different targets: who proposed what."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from llm_pipeline.domain.review import Proposal
from llm_pipeline.store.schema import IN_CONFLICT
from llm_pipeline.store.schema_derived import review_groups

# A text may have been submitted a hundred thousand times; its newest submissions tell enough.
SUBMISSIONS_LOOKED_AT = 1_000
_MAPPINGS_AT_ONCE = 200

# SQLite is told the index: by itself it goes through all that wait.
_BY_INDEX = "INDEXED BY ix_mappings_in_conflict"
_IN_CONFLICT = f"""
    SELECT m.id, m.text, m.key, m.rows, m.version, t.key, m.probability
    FROM (SELECT * FROM mappings {{by}} WHERE {IN_CONFLICT} AND id > :after
          ORDER BY id LIMIT :limit) AS m
    LEFT JOIN targets t ON t.id = m.suggested_target_id ORDER BY m.id"""  # noqa: S608
_NEWEST = """
    SELECT * FROM (
        SELECT mapping_id, target_id, submitter FROM submissions
        WHERE mapping_id = {mapping_id} ORDER BY id DESC LIMIT {number}
    ) AS of{mapping_id}"""
_PROPOSALS = """
    SELECT s.mapping_id, t.key, s.submitter, count(*)
    FROM ({newest}) AS s JOIN targets t ON t.id = s.target_id
    GROUP BY s.mapping_id, t.key, s.submitter
    ORDER BY s.mapping_id, count(*) DESC, t.key, s.submitter"""


@dataclass(frozen=True, slots=True)
class InConflict:
    """A text whose submissions propose different targets, with `version` for a decision about it
    alone and the group that it waits in."""

    mapping_id: int
    text: str
    key: str
    rows: int
    version: int
    suggested_target: str | None
    probability: float | None
    proposals: tuple[Proposal, ...]


def page(session: Session, after_id: int, limit: int) -> list[InConflict]:
    """Return texts in conflict, oldest first, above an id."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    statement = _IN_CONFLICT.format(by=_BY_INDEX if sqlite else "")
    rows = session.execute(text(statement), {"after": after_id, "limit": limit}).all()
    said = proposals(session, [row[0] for row in rows])
    return [InConflict(*[*row, said[row[0]]]) for row in rows]


def count(session: Session) -> int:
    """Return how many texts are in conflict."""
    conflicts = review_groups.c.conflicts
    query = select(func.sum(conflicts)).where(conflicts > 0)
    return int(session.scalar(query) or 0)


def proposals(session: Session, mapping_ids: Sequence[int]) -> dict[int, tuple[Proposal, ...]]:
    """Return what was proposed for each mapping and how often, the most frequent first."""
    found: dict[int, list[Proposal]] = {mapping_id: [] for mapping_id in mapping_ids}
    for first in range(0, len(mapping_ids), _MAPPINGS_AT_ONCE):
        for row in session.execute(_asked(mapping_ids[first : first + _MAPPINGS_AT_ONCE])):
            found[row[0]].append(Proposal(*row[1:]))
    return {mapping_id: tuple(said) for mapping_id, said in found.items()}


def _asked(mapping_ids: Sequence[int]) -> Any:
    arms = [_NEWEST.format(mapping_id=int(m), number=SUBMISSIONS_LOOKED_AT) for m in mapping_ids]
    return text(_PROPOSALS.format(newest=" UNION ALL ".join(arms)))


def together(said: Iterable[tuple[Proposal, ...]]) -> tuple[Proposal, ...]:
    """Return proposals of several mappings as one list."""
    rows: Counter[tuple[str, str]] = Counter()
    for one in said:
        rows.update({(p.target, p.submitter): p.rows for p in one})
    return tuple(Proposal(*who, number) for who, number in rows.most_common())
