"""Repeats of approved texts: how sure memory is of those audited, and which wait for a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from llm_pipeline.domain.approval import REPEATS
from llm_pipeline.domain.automation import AuditKind
from llm_pipeline.domain.records import Status
from llm_pipeline.store.audits import Drawn, get
from llm_pipeline.store.lots import needs_answer
from llm_pipeline.store.schema import mappings, submissions, targets, uploads
from llm_pipeline.store.schema_automation import audit_lots, audits

_a, _lot, _m, _s = audits.c, audit_lots.c, mappings.c, submissions.c
# Without an index on SQLite: by status it would begin with all that was ever approved.
_is_approved = _m.status.concat("") == Status.APPROVED.value
_open_held = (_a.kind == AuditKind.HELD.value) & _a.answered_at.is_(None)


class Repeats(NamedTuple):
    """So many `rows` of one lot that joined a mapping; `id` is the mapping's, or the audit's."""

    id: int
    text: str
    target_id: int
    target: str
    rows: int


class Doubtful(NamedTuple):
    """Repeats that a person has to look at, with the probability that they are right."""

    repeats: Repeats
    probability: float


@dataclass(frozen=True, slots=True)
class Held:
    """What waits for a person: so many mappings, and their submissions."""

    mappings: int = 0
    rows: int = 0


def unscored(session: Session) -> list[Repeats]:
    """Return the open audits of repeats that memory was not asked about."""
    query = (
        select(_a.id, _m.text, _a.answer_target_id, targets.c.key, _a.rows)
        .join(mappings, _m.id == _a.mapping_id)
        .join(targets, targets.c.id == _a.answer_target_id)
        .where(_a.answered_at.is_(None), _a.kind == AuditKind.REPEAT.value)
        .where(_a.stratum == REPEATS, _a.score.is_(None))
        .order_by(_a.id)
    )
    return [Repeats(*row) for row in session.execute(query)]


def score(session: Session, audit_id: int, probability: float, policy_id: int | None) -> None:
    """Note how sure memory is of an audited repeat, and the policy that lets it pass."""
    values = {"score": probability, "policy_id": policy_id}
    session.execute(update(audits).where(_a.id == audit_id).values(values))


def unseen_lots(session: Session) -> list[int]:
    """Return the lots whose repeats nobody looked at, the oldest first."""
    return list(session.scalars(select(_lot.id).where(_lot.held.is_(None)).order_by(_lot.id)))


def newest_unseen(session: Session) -> tuple[int, int] | None:
    """Return the newest lot and how many submissions took part in it; None if it was looked at."""
    newest = select(_lot.id, _lot.upto_id, _lot.held).order_by(_lot.id.desc()).limit(2)
    found = session.execute(newest).all()
    if not found or found[0].held is not None:
        return None
    return found[0].id, found[0].upto_id - (found[1].upto_id if len(found) > 1 else 0)


def seen(session: Session, lot_id: int, held: int) -> None:
    """Note that the repeats of a lot were looked at, and how many mappings were held."""
    session.execute(update(audit_lots).where(_lot.id == lot_id).values(held=held))


def repeats(session: Session, lot_id: int, mapping_id: int | None = None) -> list[Repeats]:
    """Return what joined mappings that people approved, of one lot, in the order of the mappings;
    with a mapping, what joined that one."""
    upto = session.scalar(select(_lot.upto_id).where(_lot.id == lot_id)) or 0
    before = select(func.coalesce(func.max(_lot.upto_id), 0)).where(_lot.id < lot_id)
    query = (
        select(_m.id, _m.text, _m.target_id, targets.c.key, func.count())
        .select_from(
            submissions.join(mappings, _m.id == _s.mapping_id)
            .join(targets, targets.c.id == _m.target_id)
            .outerjoin(uploads, uploads.c.id == _s.upload_id)
        )
        .where(_s.id > (session.scalar(before) or 0), _s.id <= upto)
        .where(_is_approved, needs_answer(_s, uploads.c))
        .group_by(_m.id, _m.text, _m.target_id, targets.c.key)
        .order_by(_m.id)
    )
    if mapping_id is not None:
        query = query.where(_m.id == mapping_id)
    return [Repeats(*row) for row in session.execute(query)]


def hold(
    session: Session, lot_id: int, doubtful: Sequence[Doubtful], at: datetime, due: timedelta
) -> Held:
    """Hold repeats of a lot, each once however often this is called; return what was added."""
    ids = [one.repeats.id for one in doubtful]
    approved = select(_m.id, _m.target_id).where(_m.id.in_(ids), _m.status == Status.APPROVED.value)
    stands = {row.id: row.target_id for row in session.execute(approved)}
    of_them = (_a.kind == AuditKind.HELD.value) & _a.mapping_id.in_(ids)
    done = set(session.scalars(select(_a.mapping_id).where(of_them, _a.lot_id >= lot_id)))
    columns = (_a.mapping_id, _a.id, _a.rows, _a.answer_target_id)
    waiting = {
        row.mapping_id: row for row in session.execute(select(*columns).where(of_them, _open_held))
    }
    # Somebody may have decided since it was looked at.
    new = [d for d in doubtful if d.repeats.id not in done]
    new = [d for d in new if stands.get(d.repeats.id) == d.repeats.target_id]
    more = [_more(one, waiting[one.repeats.id]) for one in new if one.repeats.id in waiting]
    if more:
        # Many at once, without a round trip for each.
        by_id = update(audits).where(_a.id == bindparam("of_id")).values(lot_id=lot_id)
        session.connection().execute(by_id, more)
    first = [d for d in new if d.repeats.id not in waiting]
    if first:
        same = {"lot_id": lot_id, "sampled_at": at, "due_at": at + due}
        session.execute(insert(audits), [_audit(one) | same for one in first])
    return Held(len(new), sum(one.repeats.rows for one in new))


def _more(doubtful: Doubtful, waiting: Any) -> dict[str, object]:
    """Rows that waited until somebody meant another target by the text wait no more."""
    repeats = doubtful.repeats
    before = waiting.rows if waiting.answer_target_id == repeats.target_id else 0
    return {
        "of_id": waiting.id,
        "rows": before + repeats.rows,
        "answer_target_id": repeats.target_id,
        "score": doubtful.probability,
    }


def _audit(doubtful: Doubtful) -> dict[str, object]:
    return {
        "mapping_id": doubtful.repeats.id,
        "rows": doubtful.repeats.rows,
        "kind": AuditKind.HELD.value,
        "inclusion_probability": 1.0,
        "lot": 0.0,
        "answer_target_id": doubtful.repeats.target_id,
        "stratum": REPEATS,
        "score": doubtful.probability,
    }


def beside(session: Session, drawn: Drawn) -> list[Drawn]:
    """Return the open audits that the answer to one answers as well: what the lot drew of a text
    that is held, and the other way round."""
    other = AuditKind.REPEAT if drawn.kind is AuditKind.HELD else AuditKind.HELD
    query = select(_a.id).where(
        _a.mapping_id == drawn.mapping_id, _a.answered_at.is_(None), _a.kind == other.value
    )
    return [get(session, audit_id) for audit_id in session.scalars(query.order_by(_a.id))]


def held(session: Session) -> Held:
    """Return what waits for a person now; not texts that mean something else by now."""
    query = (
        select(func.count(), func.coalesce(func.sum(_a.rows), 0))
        .join(mappings, _m.id == _a.mapping_id)
        .where(_open_held, _is_approved)
        .where(_m.target_id == _a.answer_target_id)
    )
    number, rows = session.execute(query).one()
    return Held(number, int(rows))
