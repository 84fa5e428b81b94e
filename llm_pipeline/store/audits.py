"""Audits: shown without the answer, answered once, and read as evidence. Lots are in `lots`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.approval import Audited
from llm_pipeline.domain.automation import AuditKind, stratum_of
from llm_pipeline.domain.records import Status
from llm_pipeline.errors import NotFound
from llm_pipeline.store.decisions import of_newest
from llm_pipeline.store.schema import decisions, mappings
from llm_pipeline.store.schema_automation import audits

_a, _m = audits.c, mappings.c
_is_held = _a.kind == AuditKind.HELD.value
_is_arrival = and_(_a.kind == AuditKind.ARRIVAL.value, _a.answered_at.is_(None))


@dataclass(frozen=True, slots=True)
class OpenAudit:
    """What somebody who audits is shown: no answer."""

    id: int
    mapping_id: int
    text: str
    rows: int
    sampled_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Drawn:
    """An audit, what the system says of its text, and how the mapping stands.

    `answer_target_id` is the suggestion for what waited when it was drawn: that no longer changes
    once somebody, or the policy, has decided. Else it is what the mapping meant.
    """

    id: int
    mapping_id: int
    kind: AuditKind
    rows: int
    answer_target_id: int | None
    stratum: str | None
    score: float | None
    policy_id: int | None
    model_version: str | None
    answered_at: datetime | None
    status: Status
    target_id: int | None
    version: int


@dataclass(frozen=True, slots=True)
class Audits:
    """How many audits were answered, and in how many the system was right."""

    answered: int
    right: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """An audit for which the system had an answer: one that is overdue is `wrong`.

    `policy_id` is the policy that had approved the answer, or had let it pass as a repeat.
    """

    audit_id: int
    kind: AuditKind
    stratum: str
    score: float
    rows: int
    inclusion: float
    lot: float
    policy_id: int | None
    wrong: bool
    sampled_at: datetime
    answered_at: datetime | None

    @property
    def audited(self) -> Audited:
        """The audit as the rules weigh it."""
        return Audited(self.stratum, self.score, self.rows, self.wrong, self.inclusion, self.lot)


def note_approved(session: Session, approved: Sequence[int], policy_id: int) -> None:
    """Note on the open audits of waiting mappings that a policy approves what is suggested."""
    session.execute(
        update(audits)
        .where(_is_arrival, _a.mapping_id.in_(approved))
        .values(policy_id=policy_id)
        .execution_options(synchronize_session=False)
    )


_ANSWER = (
    case((_is_arrival, _m.suggested_target_id), else_=_a.answer_target_id),
    _a.stratum,
    case((_is_arrival, _m.probability), else_=_a.score),
    case((_is_arrival, _m.model_version), else_=_a.model_version),
    _m.evidence,
    _m.proposed_target_id,
)


def _stratum(stored: str | None, evidence: str | None, proposed: int | None, answer: int) -> str:
    if stored is not None:
        return stored
    return stratum_of(evidence or "", proposed=proposed == answer)


def get(session: Session, audit_id: int) -> Drawn:
    """Return an audit with its answer; `NotFound` if there is none with that id."""
    own = (_a.id, _a.mapping_id, _a.kind, _a.rows, _a.policy_id, _a.answered_at)
    query = select(*own, _m.status, _m.target_id, _m.version, *_ANSWER)
    row = session.execute(
        query.join(mappings, _m.id == _a.mapping_id).where(_a.id == audit_id)
    ).first()
    if row is None:
        raise NotFound(f"there is no audit {audit_id}")
    answer, stored, score, model_version, evidence, proposed = row[9:]
    return Drawn(
        id=row.id,
        mapping_id=row.mapping_id,
        kind=AuditKind(row.kind),
        rows=row.rows,
        answer_target_id=answer,
        stratum=None if answer is None else _stratum(stored, evidence, proposed, answer),
        score=score,
        policy_id=row.policy_id,
        model_version=model_version,
        answered_at=row.answered_at,
        status=Status(row.status),
        target_id=row.target_id,
        version=row.version,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says a text means, None for no entry of the catalogue; `right` is whether the
    system's answer was, None if it had none."""

    target_id: int | None
    right: bool | None
    auditor: str


def record(session: Session, drawn: Drawn, said: Answer, at: datetime, offset: int) -> None:
    """Write an answer down, with what it was compared with."""
    session.execute(
        update(audits)
        .where(_a.id == drawn.id)
        .values(
            answer_target_id=drawn.answer_target_id,
            audited_target_id=said.target_id,
            auditor=said.auditor,
            answered_at=at,
            answered_offset=offset,
            right=said.right,
            stratum=drawn.stratum,
            score=drawn.score,
            model_version=drawn.model_version,
        )
    )


def _decided_by(person: str) -> ColumnElement[bool]:
    """Whether the newest decision about a mapping is this person's."""
    return func.coalesce(of_newest(decisions.c.actor), "") == person


def may_audit(session: Session, mapping_id: int, person: str) -> bool:
    """Return whether a person has not decided about a mapping themselves."""
    query = select(_m.id).where(_m.id == mapping_id, ~_decided_by(person))
    return session.scalar(query) is not None


def open_for(session: Session, person: str, after: int, limit: int) -> list[OpenAudit]:
    """Return open audits that a person may answer, the oldest first, behind the id `after`. What
    is held is no evidence: whoever decided about it may confirm it."""
    query = (
        select(_a.id, _a.mapping_id, _m.text, _a.rows, _a.sampled_at, _a.due_at)
        .join(mappings, _m.id == _a.mapping_id)
        .where(_a.answered_at.is_(None), _a.id > after, _is_held | ~_decided_by(person))
        .order_by(_a.id)
        .limit(limit)
    )
    return [OpenAudit(*row) for row in session.execute(query)]


def open_count(session: Session, due_before: datetime | None = None) -> int:
    """Return how many audits are open; with a time, how many of those drawn were due before it."""
    query = select(func.count()).where(_a.answered_at.is_(None))
    if due_before is not None:
        query = query.where(_a.due_at < due_before, ~_is_held)
    return session.scalar(query) or 0


def due_count(session: Session, since: datetime, before: datetime) -> int:
    """Return how many of the audits drawn were due in a time, answered or not."""
    query = select(func.count()).where(_a.due_at >= since, _a.due_at < before, ~_is_held)
    return session.scalar(query) or 0


def answered_count(session: Session) -> int:
    """Return how many of the audits drawn were answered in all."""
    return session.scalar(select(func.count()).where(_a.answered_at.is_not(None), ~_is_held)) or 0


def by_model(session: Session) -> dict[str, Audits]:
    """Return the answered audits that a lot drew, by the version whose answer they judged."""
    right: ColumnElement[int] = func.sum(case((_a.right, 1), else_=0))
    judged = _a.answered_at.is_not(None), _a.right.is_not(None), _a.model_version.is_not(None)
    query = select(_a.model_version, func.count(), right).where(*judged, ~_is_held)
    rows = session.execute(query.group_by(_a.model_version))
    return {row[0]: Audits(row[1], row[2]) for row in rows}


def evidence(session: Session, since: datetime, at: datetime) -> list[Evidence]:
    """Return the audits drawn since a time that are answered, or overdue at another, in the order
    of the answers. Left out are those without an answer of the system, repeats that memory was not
    asked about, and what was held: no lot chose it."""
    query = (
        select(
            _a.id,
            _a.kind,
            _a.rows,
            _a.inclusion_probability,
            _a.lot,
            _a.policy_id,
            _a.right,
            _a.sampled_at,
            _a.answered_at,
            *_ANSWER,
        )
        .join(mappings, _m.id == _a.mapping_id)
        .where(_a.sampled_at >= since, or_(_a.answered_at.is_not(None), _a.due_at < at), ~_is_held)
        .order_by(_a.answered_offset, _a.id)
    )
    found: list[Evidence] = []
    for row in session.execute(query):
        answer, stored, score, _, spoke_for, proposed = row[9:]
        if answer is not None and score is not None:
            stratum = _stratum(stored, spoke_for, proposed, answer)
            found.append(
                Evidence(
                    audit_id=row.id,
                    kind=AuditKind(row.kind),
                    stratum=stratum,
                    score=score,
                    rows=row.rows,
                    inclusion=row.inclusion_probability,
                    lot=row.lot,
                    policy_id=row.policy_id,
                    wrong=not row.right,
                    sampled_at=row.sampled_at,
                    answered_at=row.answered_at,
                )
            )
    return found
