"""Fit the policy: which answers may be approved without a person, by the audits there are."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any

from llm_pipeline.domain.approval import (
    REPEATS,
    Audited,
    Rule,
    audits_needed,
    fit_rule,
    next_share,
)
from llm_pipeline.domain.automation import CONFIDENCE, MAX_ERROR, Cause
from llm_pipeline.domain.automation_events import PolicyFitted
from llm_pipeline.store import activity, audits, breaker, holding, log, policies
from llm_pipeline.store.audits import Evidence
from llm_pipeline.store.engine import Session
from llm_pipeline.store.policies import Policy

# Merchants change: older audits tell of another stream.
WINDOW = timedelta(days=730)
MONTH = WINDOW / 24


@dataclass(frozen=True, slots=True)
class Wish:
    """The bound that the user wants, both in (0, 1)."""

    max_error: float = MAX_ERROR
    confidence: float = CONFIDENCE


def wished(policy: Policy | None) -> Wish:
    """Return what the user wants: as the policy in force has it, else by default."""
    return Wish() if policy is None else Wish(policy.max_error, policy.confidence)


def fit_policy(session: Session, wish: Wish, actor: str, at: datetime, reason: str) -> Policy:
    """Put a version of the policy in force that the audits of the last 24 months prove.

    After the audits have stopped automatic approval only those drawn since then count, until
    somebody resumed it all the same; if they prove the bound anew, it goes on.
    """
    since, stop = _evidence_since(session, at)
    seen = audits.evidence(session, since, at)
    rule = fit_rule(
        _audited(seen, at), wish.max_error, wish.confidence, _before(session, wish, since)
    )
    received = activity.since(session, activity.RECEIVED, since)
    policy = policies.add(
        session,
        max_error=wish.max_error,
        confidence=wish.confidence,
        rule=rule.as_json(),
        evidence=_evidence(rule, seen, since) | {"held": asdict(holding.held(session))},
        actor=actor,
        offset=log.next_offset(session),
        created_at=at,
        reason=reason,
        share=next_share(received, wish.max_error, wish.confidence),
        audits=audits.answered_count(session),
    )
    told = [f"{part.stratum}: {rule.explain(part.stratum)}" for part in rule.accepted]
    left_out = [f"{part.stratum}: {part.explain()}" for part in rule.left_out]
    counts = (wish.max_error, wish.confidence, rule.audits, policy.share, told, reason, left_out)
    log.append(session, at, PolicyFitted(actor, policy.id, *counts))
    if stop is not None and rule.accepted:
        breaker.resume(session, stop, f"new audits prove the bound: {rule.explain()}", actor, at)
    return policy


def _before(session: Session, wish: Wish, since: datetime) -> Rule | None:
    """The rule that the new one may be little laxer than: the last, if it is of the same wish and
    of evidence that still counts."""
    policy = policies.in_force(session)
    if policy is None or wished(policy) != wish or policy.created_at < since:
        return None
    return Rule.from_json(policy.rule)


def _evidence_since(session: Session, at: datetime) -> tuple[datetime, breaker.Stop | None]:
    """Since when audits count, and the open stop that they may end."""
    last = breaker.last(session, Cause.AUDITS)
    if last is None or last.resumed_by_person:
        return at - WINDOW, None
    return max(at - WINDOW, last.stopped_at), last if last.resumed_at is None else None


def _audited(seen: Sequence[Evidence], at: datetime) -> list[Audited]:
    """What the policy decides about, in the order in which it was drawn."""
    in_order = sorted(seen, key=lambda each: each.audit_id)
    return [replace(one.audited, age=_age(one, at)) for one in in_order]


def _age(one: Evidence, at: datetime) -> float:
    return inf if one.answered_at is None else (at - one.sampled_at) / MONTH


def missing_audits(rule: Rule) -> int:
    """Return how many more audits without an error are needed, if all answers were alike; 0 if
    something is proven."""
    if rule.limit is not None:
        return 0
    needed = audits_needed(rule.max_error, rule.confidence, rule.errors)
    return max(1, needed - rule.audits)


def _sentence(rule: Rule) -> str:
    if rule.accepted:
        return rule.explain()
    if rule.limit is not None:
        return rule.explain_nothing()
    told = f"{rule.audits} audits, {rule.errors} errors"
    return f"{told}: {missing_audits(rule)} more without an error are needed"


def _evidence(rule: Rule, seen: Sequence[Evidence], since: datetime) -> dict[str, Any]:
    repeats = [one for one in seen if one.stratum == REPEATS]
    return {
        "since": since.isoformat(),
        "sentence": _sentence(rule),
        "missing": missing_audits(rule),
        "overdue": sum(one.answered_at is None for one in seen),
        "repeats": {"audits": len(repeats), "wrong": sum(one.wrong for one in repeats)},
    }
