"""A stream for automatic approval: texts with suggestions, audits of them answered."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random

from sqlalchemy import select, update

from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.center_events import TextRecognized
from llm_pipeline.domain.records import Candidate, Recognition, State
from llm_pipeline.steps.audit import audit
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.store import audits, log, lots, mappings, suggestions
from llm_pipeline.store.engine import Database
from llm_pipeline.store.policies import Policy
from llm_pipeline.store.schema import mappings as mapping_rows
from llm_pipeline.store.schema_automation import audits as audit_rows
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge

DUE = timedelta(hours=72)
MOST_FITS = 20
LOT = Random(7)  # noqa: S311 (a test has to see the same lot again)


def arrive(
    database: Database, clock: Callable[[], datetime], texts: Sequence[str], *, share: float = 0.0
) -> list[int]:
    """Texts wait, after a lot with this share; return their mappings.

    What is drawn stands for fifty times as much, as if it had been drawn with a share of 2 %.
    """
    merge(database, clock, [(text, None) for text in texts])
    with database.begin() as session:
        lot = lots.draw(session, lots.Draw(share, DUE, LOT), clock())
        if lot is not None:
            rare = {"inclusion_probability": 0.02, "lot": 0.01}
            of_lot = audit_rows.c.lot_id == lot.id, audit_rows.c.rows == 1
            session.execute(update(audit_rows).where(*of_lot).values(rare))
        query = select(mapping_rows.c.id).where(mapping_rows.c.text.in_(texts))
        return list(session.scalars(query.order_by(mapping_rows.c.id)))


def suggest(
    database: Database,
    ids: Sequence[int],
    target: str | None,
    probability: float = 0.99,
    evidence: str = "key",
) -> None:
    """Store a suggestion of model 1 for mappings."""
    found = () if target is None else (Candidate(target, probability, evidence),)
    answer = Recognition("", State.MATCHED, target, probability, found, "1")
    with database.begin() as session:
        suggestions.save(session, [(mapping, answer) for mapping in ids], "1")
        log.append(session, Clock()(), TextRecognized("tests", len(ids), len(ids), "1"))


def answer_audits(
    database: Database,
    clock: Callable[[], datetime],
    told: Callable[[str], str | None],
    auditor: str = "eve",
) -> int:
    """Answer all open audits as `told` says of their texts; the mappings stay as they are."""
    with database.begin() as session:
        waiting = audits.open_for(session, auditor, 0, 10_000)
        for one in waiting:
            audit(session, one.id, told(one.text), auditor, clock())
    return len(waiting)


def proven(
    database: Database,
    clock: Callable[[], datetime],
    number: int = 200,
    wish: Wish | None = None,
    probability: float = 0.99,
) -> Policy:
    """A policy that approves `key` answers: so many audits of them, all right.

    It opens step by step: less sure answers need several fits.
    """
    ids = arrive(database, clock, [f"PROVEN {word(n)}" for n in range(number)], share=1.0)
    suggest(database, ids, "SBUX", probability)
    answer_audits(database, clock, lambda _text: "SBUX")
    for _ in range(MOST_FITS):
        with database.begin() as session:
            policy = fit_policy(session, wish or Wish(), "tests", clock(), "tests")
        if Rule.from_json(policy.rule).accepts("key", probability):
            break
    return policy


def proven_but_for_names(database: Database, clock: Callable[[], datetime]) -> None:
    """Audits that prove 5 % of `key` answers, while five of twenty `names` answers are wrong."""
    texts = [f"NAMED {word(n)}" for n in range(20)]
    suggest(database, arrive(database, clock, texts, share=1.0), "SBUX", evidence="names")
    answer_audits(database, clock, lambda text: None if text in texts[:5] else "SBUX")
    proven(database, clock, wish=Wish(0.05, 0.95))


def word(number: int) -> str:
    """Return letters for a number: words with digits would be taken for codes."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def status(database: Database, mapping_id: int) -> tuple[str, str | None]:
    with database.read() as session:
        found = mappings.get(session, mapping_id)
    return found.status.value, found.target
