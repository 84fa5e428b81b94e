"""Automatic approval: the bound that the user sets, the policy it comes to, audits and stops."""

from fastapi import APIRouter

from llm_pipeline.api.auth import Admin, Reviewer, Viewer
from llm_pipeline.api.automation_schemas import (
    AuditAnswer,
    AuditAnswered,
    AuditOut,
    HeldOut,
    NewPolicy,
    PolicyOut,
    StandingOut,
    StopOut,
    WatchOut,
)
from llm_pipeline.api.deps import Cursor, Given, Limit, RowId
from llm_pipeline.api.paging import Page, page_of, row_position
from llm_pipeline.domain.approval import Rule
from llm_pipeline.domain.records import Action, Status
from llm_pipeline.domain.watch import Watch
from llm_pipeline.steps.audit import Answered, audit
from llm_pipeline.steps.control import Order, control
from llm_pipeline.steps.fit_policy import Wish, fit_policy, missing_audits, wished
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.store import audits, breaker, holding, mappings, policies, watching
from llm_pipeline.store.engine import Session
from llm_pipeline.wiring import now

router = APIRouter(prefix="/api/automation", tags=["Automation"])

AUDIT_REASON = "audit {}"
TAKES_TARGET = (Action.APPROVE, Action.CORRECT)


def standing(session: Session) -> StandingOut:
    """Return how automatic approval stands now."""
    at = now()
    policy, stops = policies.in_force(session), breaker.open_stops(session)
    wish, watched = wished(policy), watching.watch(session, at)
    rule = Rule(wish.max_error, wish.confidence)
    if policy is not None:
        rule = Rule.from_json(policy.rule)
    missing = missing_audits(rule)
    told = PolicyOut.of(policy) if policy is not None else None
    held = holding.held(session)
    return StandingOut(
        on=bool(rule.accepted) and not stops,
        sentence=_sentence(rule, stops, missing),
        max_error=wish.max_error,
        confidence=wish.confidence,
        policy=told,
        stops=[StopOut.of(one) for one in stops],
        missing_audits=missing,
        open_audits=audits.open_count(session),
        overdue_audits=audits.open_count(session, due_before=at),
        auto_approved=mappings.counts(session)[Status.AUTO_APPROVED.value],
        held=HeldOut(mappings=held.mappings, rows=held.rows),
        watch=None if watched is None else _watched(watched[0]),
    )


def _watched(watch: Watch) -> WatchOut:
    return WatchOut(
        audits=watch.audits,
        errors=watch.errors,
        evidence=watch.evidence,
        stops_at=1 / watch.alarm,
    )


def _sentence(rule: Rule, stops: list[breaker.Stop], missing: int) -> str:
    if stops:
        return "automatic approval is stopped: " + "; ".join(stop.reason for stop in stops)
    if rule.limit is None:
        told = f"{rule.audits} audits, {rule.errors} errors; " if rule.audits else ""
        return (
            f"nothing is approved automatically yet: {told}{missing} audits without an error are "
            "missing"
        )
    if not rule.accepted:
        return f"nothing is approved automatically, though proven by {rule.explain_nothing()}"
    return f"approved automatically because of {rule.explain()}"


@router.get("/policy", summary="The bound, the policy it comes to, and what stops it")
def get_policy(services: Given, _caller: Viewer) -> StandingOut:
    with services.parts.read() as session:
        return standing(session)


@router.put("/policy", summary="Set the bound; stop or resume automatic approval")
def put_policy(services: Given, caller: Admin, body: NewPolicy) -> StandingOut:
    with services.parts.begin() as session:
        before = wished(policies.in_force(session))
        wish = Wish(body.max_error or before.max_error, body.confidence or before.confidence)
        control(session, Order(body.stop, body.resume, body.reason), caller.user, now())
        fit_policy(session, wish, caller.user, now(), body.reason or "set by an admin")
        return standing(session)


@router.get("/policies", summary="Versions of the policy, newest first")
def list_policies(
    services: Given, _caller: Viewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[PolicyOut]:
    with services.parts.read() as session:
        found = policies.page(session, row_position(cursor), limit + 1)
        total = policies.count(session)
    return page_of(found, limit, PolicyOut.of, total)


@router.get("/stops", summary="When automatic approval stopped, why, and how it went on")
def list_stops(services: Given, _caller: Viewer, limit: Limit = 50) -> list[StopOut]:
    with services.parts.read() as session:
        return [StopOut.of(one) for one in breaker.history(session, limit)]


@router.get("/audits", summary="Texts to be audited, without the answer")
def list_audits(
    services: Given, caller: Reviewer, limit: Limit = 50, cursor: Cursor = None
) -> Page[AuditOut]:
    """Those that the caller decided about are left out, but for repeats that are held; `total`
    counts them all."""
    with services.parts.read() as session:
        found = audits.open_for(session, caller.user, row_position(cursor) or 0, limit + 1)
        total = audits.open_count(session)
    return page_of(found, limit, AuditOut.model_validate, total)


@router.post("/audits/{audit_id}", summary="Say what an audited text means")
def post_audit(
    services: Given, caller: Reviewer, audit_id: RowId, body: AuditAnswer
) -> AuditAnswered:
    """An answer that differs from the mapping's corrects it, which counts at once."""
    with services.parts.begin() as session:
        done = audit(session, audit_id, body.target, caller.user, now())
        decision = _carry_out(session, audit_id, done, caller.user, body.target)
        stored = mappings.get(session, done.mapping_id)
    services.live.catch_up()
    return AuditAnswered(
        audit_id=audit_id,
        mapping_id=done.mapping_id,
        right=done.right,
        status=stored.status,
        target=stored.target,
        decision=decision,
    )


def _carry_out(
    session: Session, audit_id: int, done: Answered, auditor: str, target: str | None
) -> int | None:
    if done.action is None:
        return None
    named = target if done.action in TAKES_TARGET else None
    reason = AUDIT_REASON.format(audit_id)
    verdict = Verdict(done.action, done.version, auditor, named, reason)
    return decide(session, done.mapping_id, verdict, now())
