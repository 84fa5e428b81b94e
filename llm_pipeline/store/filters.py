"""What mappings can be narrowed by, each as tokens of their documents and as a check of their row.

Both forms say the same: the tokens where the index answers, the check where rows are walked.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import ColumnElement, and_, func, select, true
from sqlalchemy.orm import Session

from llm_pipeline.domain.records import Status
from llm_pipeline.store import decided
from llm_pipeline.store.documents import DAY_ONE, facet
from llm_pipeline.store.schema import mappings, targets
from llm_pipeline.store.schema_derived import status_counts

# More tokens than these are slower than looking at the rows.
MOST_TOKENS = 1_000

target_of = func.coalesce(mappings.c.target_id, mappings.c.proposed_target_id)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list of mappings may be narrowed by.

    `q` looks for every one of its words, as a part of any word of the text; `since` and `until`
    are times of arrival, the first included and the last not. `policy`, `model` and `decided_by`
    ask for the newest decision: the policy that approved, the model whose answer a policy approved,
    who it was.
    """

    q: str = ""
    status: Status | tuple[Status, ...] | None = None
    target: str | None = None
    source: str | None = None
    upload: int | None = None
    submitter: str | None = None
    category: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    policy: int | None = None
    model: str | None = None
    decided_by: str | None = None

    @property
    def statuses(self) -> tuple[str, ...]:
        """The statuses allowed; none when all are."""
        if self.status is None:
            return ()
        given = (self.status,) if isinstance(self.status, Status) else self.status
        return tuple(sorted({status.value for status in given}))


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """One thing asked of a mapping.

    Attributes
    ----------
    check : whether a row fulfils it
    tokens : its document holds one of these if it does; none: only the row tells
    exact : its document holds one of these only if it does
    is_words : it asks for words
    """

    check: ColumnElement[bool]
    tokens: tuple[str, ...] = ()
    exact: bool = True
    is_words: bool = False


def facets(session: Session, wanted: Filter) -> list[Condition]:
    """Return what a filter asks beside words."""
    m = mappings.c
    found: list[Condition] = []
    if wanted.statuses:
        marks = tuple(facet("s", status) for status in wanted.statuses)
        found.append(Condition(m.status.in_(wanted.statuses), marks))
    if wanted.source is not None:
        found.append(Condition(m.source == wanted.source, (facet("o", wanted.source),)))
    if wanted.upload is not None:
        found.append(Condition(m.upload_id == wanted.upload, (facet("u", wanted.upload),)))
    if wanted.submitter is not None:
        found.append(Condition(m.submitter == wanted.submitter, (_by(session, wanted.submitter),)))
    if wanted.target is not None:
        found.append(_targets(session, targets.c.key == wanted.target))
    if wanted.category is not None:
        found.append(_targets(session, targets.c.category == wanted.category))
    if wanted.since is not None or wanted.until is not None:
        found.append(_arrived(session, wanted.since, wanted.until))
    return found + _decided(wanted)


def _decided(wanted: Filter) -> list[Condition]:
    found = []
    if wanted.policy is not None:
        found.append(Condition(decided.by_policy(wanted.policy)))
    if wanted.model is not None:
        found.append(Condition(decided.by_model(wanted.model)))
    if wanted.decided_by is not None:
        found.append(Condition(decided.by_actor(wanted.decided_by)))
    return found


def _by(session: Session, submitter: str) -> str:
    sqlite = session.get_bind().dialect.name == "sqlite"
    return facet("b", submitter.encode().hex() if sqlite else submitter)


def _targets(session: Session, chosen: ColumnElement[bool]) -> Condition:
    ids = list(session.scalars(select(targets.c.id).where(chosen).limit(MOST_TOKENS + 1)))
    if len(ids) > MOST_TOKENS:
        return Condition(target_of.in_(select(targets.c.id).where(chosen)))
    # No mapping has the target `none`: nothing matches, and the index says so at once.
    return Condition(target_of.in_(ids), tuple(facet("t", one) for one in ids or ["none"]))


def _arrived(session: Session, since: datetime | None, until: datetime | None) -> Condition:
    at = mappings.c.created_at
    check = and_(
        at >= since if since is not None else true(), at < until if until is not None else true()
    )
    days = select(func.min(status_counts.c.day), func.max(status_counts.c.day))
    first, last = session.execute(days.where(status_counts.c.mappings > 0)).one()
    if first is None:
        return Condition(check)
    begin = max(since.astimezone(UTC).date() if since else date.min, date.fromisoformat(first))
    end = min(until.astimezone(UTC).date() if until else date.max, date.fromisoformat(last))
    if (end - begin).days >= MOST_TOKENS:
        return Condition(check)
    numbers = range((begin - DAY_ONE).days, (end - DAY_ONE).days + 1)
    # No mapping has the day `none`: nothing matches, and the index says so at once.
    return Condition(check, tuple(facet("d", n) for n in numbers) or (facet("d", "none"),), False)
