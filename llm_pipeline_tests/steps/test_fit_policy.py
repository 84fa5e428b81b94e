"""The evidence of a policy as its rules weigh it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf

from llm_pipeline.domain.automation import AuditKind
from llm_pipeline.steps import fit_policy
from llm_pipeline.store.audits import Evidence

AT = datetime(2026, 5, 1, tzinfo=UTC)


def test_audits_are_as_old_as_their_lot_and_overdue_ones_belong_to_no_time() -> None:
    drawn = AT - timedelta(days=73)
    one = Evidence(
        audit_id=2,
        kind=AuditKind.ARRIVAL,
        stratum="exact",
        score=0.9,
        rows=1,
        inclusion=0.02,
        lot=0.01,
        policy_id=None,
        wrong=False,
        sampled_at=drawn,
        answered_at=AT,
    )
    overdue = replace(one, audit_id=1, wrong=True, answered_at=None)
    found = fit_policy._audited([one, overdue], AT)
    assert [(audit.wrong, round(audit.age, 2)) for audit in found] == [(True, inf), (False, 2.4)]
