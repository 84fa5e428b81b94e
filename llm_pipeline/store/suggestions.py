"""What the recogniser suggests for the mappings that wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.extra import Extra
from llm_pipeline.domain.records import Candidate, Recognition, Status
from llm_pipeline.store import extra_columns, log, touched
from llm_pipeline.store.schema import mappings, targets


@dataclass(frozen=True, slots=True)
class Waiting:
    """A mapping that waits for a suggestion of the model in service."""

    id: int
    text: str
    extra: Extra | None = None


def waiting(
    session: Session,
    model_version: str,
    after_id: int,
    limit: int,
    *,
    extra: Sequence[str] = (),
) -> list[Waiting]:
    """Return pending mappings that this model has not looked at, by id, above `after_id`.

    With names of `extra` columns, also their values in the newest submission of each.
    """
    m = mappings.c
    query = (
        select(m.id, m.text)
        .where(
            _unseen_by(model_version),
            m.id > after_id,
        )
        .order_by(m.id)
        .limit(limit)
    )
    found = session.execute(query).all()
    said = extra_columns.of_mappings(session, [row.id for row in found], extra)
    return [Waiting(row.id, row.text, said.get(row.id)) for row in found]


def _unseen_by(model_version: str) -> ColumnElement[bool]:
    m = mappings.c
    return and_(
        m.status == Status.PENDING.value,
        or_(m.model_version.is_(None), m.model_version != model_version),
    )


def newest_waiting(session: Session, model_version: str) -> int | None:
    """Return the highest id among the mappings that `waiting` finds, None if it finds none."""
    m = mappings.c
    query = select(func.max(m.id)).where(_unseen_by(model_version))
    newest: int | None = session.scalar(query)
    return newest


def save(session: Session, answers: Sequence[tuple[int, Recognition]], model_version: str) -> None:
    """Store the best candidate of each mapping, also where the recogniser abstains."""
    if not answers:
        return
    best = {m: r.candidates[0] for m, r in answers if r.candidates}
    keys = {candidate.target for candidate in best.values()}
    found = session.execute(select(targets.c.key, targets.c.id).where(targets.c.key.in_(keys)))
    ids = {row.key: row.id for row in found}
    with touched.changing(session, [mapping for mapping, _ in answers]):
        _save(session, answers, best, ids, model_version)


def _save(
    session: Session,
    answers: Sequence[tuple[int, Recognition]],
    best: Mapping[int, Candidate],
    ids: Mapping[str, int],
    model_version: str,
) -> None:
    offset = log.next_offset(session)
    session.execute(
        update(mappings)
        .where(mappings.c.id == bindparam("mapping"), mappings.c.status == Status.PENDING.value)
        .values(
            version=mappings.c.version
            + case(
                (mappings.c.suggested_target_id.is_distinct_from(bindparam("suggested")), 1),
                else_=0,
            ),
            suggested_target_id=bindparam("suggested"),
            probability=bindparam("chance"),
            model_version=bindparam("model"),
            evidence=bindparam("spoke_for"),
            suggested_offset=offset,
        )
        .execution_options(synchronize_session=False),
        [
            {
                "mapping": mapping,
                "suggested": ids.get(best[mapping].target) if mapping in best else None,
                "chance": best[mapping].probability if mapping in best else 0.0,
                "model": model_version,
                "spoke_for": best[mapping].evidence if mapping in best else None,
            }
            for mapping, _ in answers
        ],
    )


def examples(session: Session, limit: int) -> list[dict[str, object]]:
    """Return the waiting texts most rows wait for, with what is suggested for them."""
    m = mappings.c
    query = (
        select(m.text, m.rows, targets.c.key.label("suggestion"), m.probability)
        .select_from(mappings.outerjoin(targets, targets.c.id == m.suggested_target_id))
        .where(m.status == Status.PENDING.value)
        .order_by(m.rows.desc(), m.id)
        .limit(limit)
    )
    return [dict(row) for row in session.execute(query).mappings()]
