"""The watch between two refits: audits of what policies approved, and of the repeats that they let
pass, read after every one of them."""

from datetime import datetime

from sqlalchemy.orm import Session

from llm_pipeline.domain.approval import Audited
from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.watch import Watch
from llm_pipeline.store import audits, breaker, policies


def watch(session: Session, at: datetime) -> tuple[Watch, int | None] | None:
    """Return the watch over automatic approvals, with the policy that approved the one audited
    last; None before the first policy.

    It begins anew when the user wants another bound, and when automatic approval went on after
    the audits had stopped it.
    """
    policy = policies.in_force(session)
    if policy is None:
        return None
    since = policies.wish_since(session, policy.max_error, policy.confidence) or policy.created_at
    last = breaker.last(session, Cause.AUDITS)
    if last is not None:
        since = max(since, last.resumed_at or last.stopped_at)
    seen = [
        one
        for one in audits.evidence(session, since, at)
        if one.policy_id is not None
        and Audited(one.stratum, one.score, one.rows, one.wrong, one.inclusion, one.lot).counts
    ]
    watched = Watch(policy.max_error).after(one.wrong for one in seen)
    return watched, seen[-1].policy_id if seen else None


def look(session: Session, actor: str, at: datetime) -> None:
    """Stop automatic approval if the audits say that the bound is broken."""
    watched = watch(session, at)
    if watched is None or not watched[0].tripped:
        return
    found, policy_id = watched
    reason = (
        f"{found.errors} of {found.audits} audited automatic approvals are wrong: the audits "
        f"favour a broken bound {found.evidence:.0f} to 1, {1 / found.alarm:.0f} to 1 stops; "
        f"policy {policy_id} accepted the last"
    )
    breaker.stop(session, Cause.AUDITS, "", reason, actor, at)
