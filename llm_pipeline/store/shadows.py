"""What a challenger answers for waiting texts beside the champion, and what people made of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, func, insert, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Action, Recognition, Status
from llm_pipeline.store import extra_columns
from llm_pipeline.store.schema import decisions, mappings, targets
from llm_pipeline.store.schema_automation import shadow_answers
from llm_pipeline.store.suggestions import Waiting

_m, _s, _d = mappings.c, shadow_answers.c, decisions.c


@dataclass(frozen=True, slots=True)
class Decided:
    """Texts that both models answered and a person decided about afterwards: how many, and how
    many of them only one model had right."""

    texts: int
    only_challenger: int
    only_champion: int


def waiting(
    session: Session, version: str, after_id: int, limit: int, extra: Sequence[str] = ()
) -> list[Waiting]:
    """Return waiting mappings that the champion has answered and this challenger has not."""
    done = exists().where(_s.model_version == version, _s.mapping_id == _m.id)
    query = select(_m.id, _m.text).where(
        _m.status == Status.PENDING.value, _m.model_version.is_not(None), ~done, _m.id > after_id
    )
    found = session.execute(query.order_by(_m.id).limit(limit)).all()
    said = extra_columns.of_mappings(session, [row.id for row in found], extra)
    return [Waiting(row.id, row.text, said.get(row.id)) for row in found]


def save(
    session: Session, version: str, answers: Sequence[tuple[int, Recognition]], at: datetime
) -> None:
    """Store the best candidate of each answer."""
    best = {m: r.candidates[0] for m, r in answers if r.candidates}
    keys = {candidate.target for candidate in best.values()}
    found = session.execute(select(targets.c.key, targets.c.id).where(targets.c.key.in_(keys)))
    ids = {row.key: row.id for row in found}
    rows = [
        {
            "model_version": version,
            "mapping_id": mapping,
            "target_id": ids.get(best[mapping].target) if mapping in best else None,
            "probability": best[mapping].probability if mapping in best else 0.0,
            "answered_at": at,
        }
        for mapping, _ in answers
    ]
    session.execute(insert(shadow_answers), rows)


def decided(session: Session, version: str) -> Decided:
    """Return how a challenger did beside the suggestions that people saw when they decided.

    They saw the champion's, which speaks for the champion where they are in doubt.
    """
    taught = [Action.APPROVE.value, Action.CORRECT.value]
    query = (
        select(
            func.count(),
            _same(_s.target_id) - _both(),
            _same(_d.suggested_target_id) - _both(),
        )
        .select_from(shadow_answers.join(decisions, _d.mapping_id == _s.mapping_id))
        .where(
            _s.model_version == version,
            _d.action.in_(taught),
            _d.previous_status == Status.PENDING.value,
            _d.policy_id.is_(None),
            _d.decided_at >= _s.answered_at,
        )
    )
    texts, challenger, champion = session.execute(query).one()
    return Decided(texts, int(challenger or 0), int(champion or 0))


def _same(answer: ColumnElement[int | None]) -> ColumnElement[int]:
    return func.count().filter(_d.target_id == answer)


def _both() -> ColumnElement[int]:
    right = (_d.target_id == _s.target_id) & (_d.target_id == _d.suggested_target_id)
    return func.count().filter(right)
