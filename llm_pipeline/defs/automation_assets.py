"""Automatic approval as assets: what was approved, the policy, the challenger's shadow, drift."""

from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult

from llm_pipeline.defs.resources import ACTOR, Pipeline
from llm_pipeline.defs.tables import counted, table
from llm_pipeline.defs.traced import asset
from llm_pipeline.domain.approval import Rule
from llm_pipeline.orchestrator import REASON_TAG
from llm_pipeline.steps.approve import approve_waiting
from llm_pipeline.steps.fit_policy import fit_policy, wished
from llm_pipeline.steps.look_for_drift import look_for_drift
from llm_pipeline.steps.promote import judged
from llm_pipeline.steps.shadow import shadow
from llm_pipeline.store import log, mappings, policies
from llm_pipeline.wiring import now


@asset(group_name="llm_center", deps=["recognized_submissions"], kinds={"table"})
def automatic_approvals(pipeline: Pipeline) -> MaterializeResult[Any]:
    """What the policy in force approved of the suggestions that it had not looked at."""
    done = approve_waiting(pipeline.parts.database, ACTOR, now)
    with pipeline.parts.read() as session:
        offset, counts = log.latest(session), mappings.counts(session)
    return MaterializeResult(
        metadata={
            "offset": offset,
            "looked_at": done.looked_at,
            "approved": done.approved,
            "policy": done.policy_id or 0,
            "held": done.held,
            "by_status": table(counted("status", counts)),
        }
    )


@asset(group_name="ml", deps=["recognized_submissions"], kinds={"scikitlearn"})
def challenger_shadow(pipeline: Pipeline) -> MaterializeResult[Any]:
    """What a better challenger answers beside the champion, where that is asked for, before it
    takes over."""
    parts = pipeline.parts
    extra, needed = parts.settings.extra_names, parts.settings.shadow_answers
    done = shadow(parts.database, parts.load_model, needed, now, extra=extra)
    promoted = False
    if done.version is not None and done.verdict is not None:
        with parts.begin() as session:
            promoted = judged(session, parts.registry, done.version, done.verdict, ACTOR, now())
    return MaterializeResult(
        metadata={
            "challenger": done.version or "none",
            "answered": done.answered,
            "decided": done.decided,
            "needed": needed,
            "promoted": promoted,
            "reason": done.verdict.reason if done.verdict else "",
        }
    )


@asset(group_name="llm_center", kinds={"table"})
def approval_policy(context: AssetExecutionContext, pipeline: Pipeline) -> MaterializeResult[Any]:
    """Which answers may be approved without a person, by the audits there are."""
    reason = context.run.tags.get(REASON_TAG, "materialised by hand")
    with pipeline.parts.begin() as session:
        wish = wished(policies.in_force(session))
        policy = fit_policy(session, wish, ACTOR, now(), reason)
    rule = Rule.from_json(policy.rule)
    parts = [
        {
            "stratum": part.stratum,
            "threshold": part.threshold,
            "because": rule.explain(part.stratum),
        }
        for part in rule.accepted
    ]
    return MaterializeResult(
        metadata={
            "policy": policy.id,
            "offset": policy.offset,
            "because": policy.evidence["sentence"],
            "missing_audits": policy.evidence["missing"],
            "audited_share": policy.share,
            "approves": table(parts),
            "leaves_out": table(
                [{"stratum": p.stratum, "because": p.explain()} for p in rule.left_out]
            ),
        }
    )


@asset(group_name="data", deps=["submissions"], kinds={"table"})
def drift(pipeline: Pipeline) -> MaterializeResult[Any]:
    """Whether the submissions of the last day look like those of the 30 days before."""
    with pipeline.parts.begin() as session:
        found = look_for_drift(session, ACTOR, now())
    bands = [{"answers": name, "before": b, "last_day": r} for name, b, r in found.bands]
    return MaterializeResult(
        metadata={
            "verdict": found.explain(),
            "index": -1.0 if found.index is None else found.index,
            "submissions_of_the_last_day": found.recent,
            "submissions_before": found.before,
            "bands": table(bands),
        }
    )


AUTOMATION: list[AssetsDefinition] = [
    automatic_approvals,
    challenger_shadow,
    approval_policy,
    drift,
]
