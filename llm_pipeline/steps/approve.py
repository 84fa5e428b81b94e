"""Approve: what the policy in force accepts is live at once, without a person."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.automation import policy_name
from llm_pipeline.domain.automation_events import MappingAutoApproved
from llm_pipeline.domain.records import Action, Status
from llm_pipeline.store import audits, automatic, breaker, log, policies, settling
from llm_pipeline.store.automatic import Place, Suggested
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.policies import Policy

# A person's decision waits for one chunk at most.
CHUNK = 2_500


@dataclass(frozen=True, slots=True)
class Approved:
    """How many waiting mappings the policy looked at and approved; `held` says why none could be:
    there is no policy yet, or automatic approval is stopped."""

    looked_at: int = 0
    approved: int = 0
    policy_id: int | None = None
    held: str = ""


def approve_waiting(
    database: Database, actor: str, clock: Callable[[], datetime], chunk: int = CHUNK
) -> Approved:
    """Approve what the policy accepts among the suggestions that it has not looked at yet.

    A mapping is approved by a policy once at most: what was put back, skipped or undone waits for
    people. `actor` is who hears of a stop; approvals are the policy's own.
    """
    done, place = Approved(), None
    while True:
        with database.begin() as session:
            policy, held = _policy(session, actor, clock())
            if policy is None:
                return Approved(done.looked_at, done.approved, done.policy_id, held)
            if place is None or policy.id != done.policy_id:
                place = Place(policy.looked_to + 1)
            newest = log.latest(session)
            found = automatic.waiting(session, place, chunk)
            approved = _approve(session, policy, found, clock())
            done = Approved(done.looked_at + len(found), done.approved + approved, policy.id)
            if len(found) < chunk:
                policies.looked(session, policy.id, newest)
                return done
            place = Place(found[-1].offset, found[-1].id)


def approve_one(session: Session, mapping_id: int, actor: str, at: datetime) -> bool:
    """Approve one waiting mapping if the policy accepts its suggestion; return whether it did."""
    policy, _ = _policy(session, actor, at)
    found = automatic.of_mapping(session, mapping_id)
    if policy is None or found is None:
        return False
    return bool(_approve(session, policy, [found], at))


def _policy(session: Session, actor: str, at: datetime) -> tuple[Policy | None, str]:
    """The policy in force, or why nothing may be approved now."""
    policy = policies.in_force(session)
    if policy is None:
        return None, "no policy was fitted yet"
    stops = breaker.look(session, actor, at)
    if stops:
        return None, "; ".join(stop.reason for stop in stops)
    return policy, ""


def _approve(session: Session, policy: Policy, found: Sequence[Suggested], at: datetime) -> int:
    rule = Rule.from_json(policy.rule)
    chosen = [
        one
        for one in found
        if one.eligible and rule.accepts(one.stratum, one.probability, one.rows)
    ]
    if not chosen:
        return 0
    by = policy_name(policy.id)
    offset = log.next_offset(session)
    because = {one.stratum: rule.explain(one.stratum) for one in chosen}
    reason = "; ".join(f"{stratum}: {told}" for stratum, told in sorted(because.items()))
    audits.note_approved(session, [one.id for one in chosen], policy.id)
    settling.choose(
        session, [settling.Change(one.id, Status.AUTO_APPROVED, one.target_id) for one in chosen]
    )
    act = settling.Act(Action.APPROVE, by, reason, at, offset, policy_id=policy.id)
    settling.settle(session, act)
    log.append(session, at, _told(chosen, policy, by, because))
    return len(chosen)


def _told(
    chosen: Sequence[Suggested], policy: Policy, by: str, because: dict[str, str]
) -> MappingAutoApproved:
    versions = ", ".join(sorted({one.model_version for one in chosen}))
    reasons = [f"{stratum}: {told}" for stratum, told in sorted(because.items())]
    told = MappingAutoApproved(by, len(chosen), policy.id, versions, reasons)
    if len(chosen) > 1:
        return told
    (only,) = chosen
    return replace(told, mapping_id=only.id, text=only.text, target=only.target)
