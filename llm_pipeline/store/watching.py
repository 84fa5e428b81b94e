"""The watches between refits: audits of what policies approved, and of the repeats that they let
pass, read after every one of them."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.watch import ALARM, HIGHEST, WATCHED, Watch
from llm_pipeline.store import audits, breaker, policies
from llm_pipeline.store.audits import Evidence
from llm_pipeline.store.policies import Policy


def watch(session: Session, at: datetime) -> tuple[Watch, int | None] | None:
    """Return the watch over automatic approvals that is nearest to an alarm, with the policy that
    approved the one audited last; None before the first policy.

    At each of the last refits a watch began over all of them and one over each evidence group.
    They begin anew when the user wants another bound, and when automatic approval went on after
    the audits had stopped it.
    """
    policy = policies.in_force(session)
    if policy is None:
        return None
    since = policies.wish_since(session, policy.max_error, policy.confidence) or policy.created_at
    last = breaker.last(session, Cause.AUDITS)
    if last is not None:
        since = max(since, last.resumed_at or last.stopped_at)
    begun = [made for made in policies.page(session, None, WATCHED) if made.created_at >= since]
    levels = list(_levels(begun or [policy], since))
    oldest = min(begin for begin, _, _ in levels)
    seen = [
        one
        for one in audits.evidence(session, oldest, at)
        if one.policy_id is not None and one.audited.counts
    ]
    watches = [
        Watch(level, ALARM / len(levels)).after(one.wrong for one in _watched(seen, begin, stratum))
        for begin, stratum, level in levels
    ]
    nearest = max(watches, key=lambda found: (found.evidence, found.audits))
    return nearest, seen[-1].policy_id if seen else None


def _levels(
    begun: Sequence[Policy], since: datetime
) -> Iterator[tuple[datetime, str | None, float]]:
    """Yield when each watch began, its evidence group or None for all, and the error it allows.

    Of groups that nobody looked at more than `max_error` may be wrong: the rest of what is approved
    was looked at. An evidence group may be wrong as often as its own audits allow for.
    """
    for made in begun:
        rule = Rule.from_json(made.rule)
        allowed = min(made.max_error / rule.unseen, HIGHEST)
        begin = max(made.created_at, since)
        yield begin, None, allowed
        for part in rule.accepted:
            yield begin, part.stratum, min(max(allowed, part.bound), HIGHEST)


def _watched(seen: Sequence[Evidence], begin: datetime, stratum: str | None) -> Iterator[Evidence]:
    for one in seen:
        if one.sampled_at >= begin and stratum in (None, one.stratum):
            yield one


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
