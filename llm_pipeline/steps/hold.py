"""Hold: repeats of approved texts that the policy does not let pass wait for a person.

Merchants change: a text that a person approved may mean something else the next time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from llm_pipeline.domain.approval import REPEATS, Rule
from llm_pipeline.domain.automation_events import RepeatsHeld
from llm_pipeline.domain.records import Recognition
from llm_pipeline.store import holding, log, policies
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.holding import Doubtful, Held, Repeats
from llm_pipeline.store.policies import Policy

Recognize = Callable[[Sequence[str]], list[Recognition]]

# A person's decision waits for one chunk at most.
CHUNK = 2_500


def score_repeats(session: Session, recognize: Recognize) -> int:
    """Note how sure memory is of the repeats that a lot drew, and whether the policy lets them
    pass, before anybody answers; return of how many.

    What memory does not know by the letter yet is left for the next time.
    """
    policy = policies.in_force(session)
    rule = None if policy is None else _rule(policy)
    found = _sure(recognize, holding.unscored(session))
    for repeats, probability in found:
        passes = rule is not None and rule.accepts(REPEATS, probability, repeats.rows)
        policy_id = policy.id if policy is not None and passes else None
        holding.score(session, repeats.id, probability, policy_id)
    return len(found)


def hold_repeats(
    database: Database,
    recognize: Recognize,
    due: timedelta,
    actor: str,
    clock: Callable[[], datetime],
    chunk: int = CHUNK,
) -> Held:
    """Hold what the policy in force does not let pass of the lots that were not looked at yet.

    Before the first policy all repeats pass.
    """
    with database.read() as session:
        policy, lots = policies.in_force(session), holding.unseen_lots(session)
    mappings = rows = 0
    for lot_id in lots:
        doubtful = []
        if policy is not None:
            with database.read() as session:
                repeats = holding.repeats(session, lot_id)
            doubtful = _doubtful(recognize, policy, repeats)
        of_lot = 0
        for first in range(0, len(doubtful), chunk):
            some = doubtful[first : first + chunk]
            with database.begin() as session:
                done = _hold(session, lot_id, some, due, actor, clock())
            of_lot, rows = of_lot + done.mappings, rows + done.rows
        mappings += of_lot
        with database.begin() as session:
            holding.seen(session, lot_id, len(doubtful))
    return Held(mappings, rows)


def hold_one(
    session: Session,
    recognize: Recognize,
    mapping_id: int,
    due: timedelta,
    actor: str,
    at: datetime,
) -> bool:
    """Hold a text that just arrived and took part in a lot, if it joined an approved mapping and
    the policy in force does not let it pass; return whether it is held. Others of its lot are left
    to `hold_repeats`."""
    policy, lot = policies.in_force(session), holding.newest_unseen(session)
    if lot is None:
        return False
    lot_id, size = lot
    doubtful = []
    if policy is not None:
        doubtful = _doubtful(recognize, policy, holding.repeats(session, lot_id, mapping_id))
    held = bool(doubtful and _hold(session, lot_id, doubtful, due, actor, at).mappings)
    if size == 1:
        holding.seen(session, lot_id, int(held))
    return held


def _sure(recognize: Recognize, repeats: Sequence[Repeats]) -> list[Doubtful]:
    """How sure memory is of each; without those that it does not know by the letter."""
    answers = recognize([one.text for one in repeats])
    found = []
    for one, answer in zip(repeats, answers, strict=True):
        if answer.candidates:
            (best, *_) = answer.candidates
            if best.evidence == REPEATS and best.target == one.target:
                found.append(Doubtful(one, best.probability))
    return found


def _rule(policy: Policy) -> Rule:
    """The rule by which repeats pass. While no audit of repeats was answered they are trusted as
    before any proof."""
    if not policy.evidence["repeats"]["audits"]:
        return Rule(policy.max_error, policy.confidence)
    return Rule.from_json(policy.rule)


def _doubtful(recognize: Recognize, policy: Policy, repeats: Sequence[Repeats]) -> list[Doubtful]:
    rule = _rule(policy)
    return [
        one
        for one in _sure(recognize, repeats)
        if not rule.accepts(REPEATS, one.probability, one.repeats.rows)
    ]


def _hold(
    session: Session,
    lot_id: int,
    doubtful: Sequence[Doubtful],
    due: timedelta,
    actor: str,
    at: datetime,
) -> Held:
    policy = policies.in_force(session)
    done = holding.hold(session, lot_id, doubtful, at, due)
    if policy is not None and done.mappings:
        only = doubtful[0].repeats.id if len(doubtful) == 1 else None
        log.append(session, at, RepeatsHeld(actor, done.mappings, done.rows, policy.id, only))
    return done
