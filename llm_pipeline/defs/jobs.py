"""Which assets run together, and when by the clock."""

from dagster import (
    AssetSelection,
    DefaultScheduleStatus,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)

from llm_pipeline.defs.resources import ACTOR, Pipeline
from llm_pipeline.domain.triggers import Trigger
from llm_pipeline.orchestrator import ALONE, REASON_TAG
from llm_pipeline.store import wishes
from llm_pipeline.wiring import now

# The console gets warnings only; every event of a run is in Dagster's own log.
QUIET = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}

recognition_job = define_asset_job(
    "recognition",
    AssetSelection.assets(
        "submissions", "recognized_submissions", "automatic_approvals", "challenger_shadow"
    ),
    description="Suggest targets for the texts that wait, and approve what the policy accepts.",
    config=QUIET,
)
learning_job = define_asset_job(
    "learning",
    AssetSelection.assets(
        "approved_mappings",
        "training_set",
        "trained_model",
        "champion_model",
        "performance_report",
        "model_evaluation",
    ),
    description="Learn from the approved mappings and promote the result if it is better.",
    tags=ALONE,
    config=QUIET,
)
report_job = define_asset_job(
    "reports",
    AssetSelection.assets("quality_report", "insights", "drift"),
    description="Write the quality report and the forecast, and look for drift.",
    config=QUIET,
)

label_audit_job = define_asset_job(
    "label_audit",
    AssetSelection.assets("label_errors"),
    description="Look for approved labels that are probably wrong.",
    config=QUIET,
)

policy_job = define_asset_job(
    "policy",
    AssetSelection.assets("approval_policy"),
    description="Fit the policy of automatic approval to the audits that were answered.",
    config=QUIET,
)
approval_job = define_asset_job(
    "approval",
    AssetSelection.assets("automatic_approvals"),
    description="Approve what the policy accepts among suggestions it has not looked at.",
    config=QUIET,
)

retention_job = define_asset_job(
    "retention",
    AssetSelection.assets("forgotten"),
    description="Delete what is old and nobody needs.",
    config=QUIET,
)

JOBS = [
    recognition_job,
    learning_job,
    report_job,
    label_audit_job,
    policy_job,
    approval_job,
    retention_job,
]


@schedule(job=learning_job, cron_schedule="0 3 * * *", default_status=DefaultScheduleStatus.RUNNING)
def nightly_learning(context: ScheduleEvaluationContext, pipeline: Pipeline) -> SkipReason:
    """Want a training for every night: `wanted_learning` starts it, and tells if it never ran."""
    night = f"{context.scheduled_execution_time:%Y-%m-%d}"
    with pipeline.parts.begin() as session:
        new = wishes.want(session, Trigger.SCHEDULE, night, f"night of {night}", ACTOR, now())
    if new is None:
        return SkipReason(f"a training for the night of {night} is wanted already")
    return SkipReason("a training is wanted now; the sensor wanted_learning starts it")


SCHEDULES: list[ScheduleDefinition] = [
    nightly_learning,
    ScheduleDefinition(
        name="hourly_reports",
        job=report_job,
        cron_schedule="5 * * * *",
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="daily_policy",
        job=policy_job,
        cron_schedule="30 2 * * *",
        default_status=DefaultScheduleStatus.RUNNING,
        tags={REASON_TAG: "daily schedule"},
    ),
    ScheduleDefinition(
        name="daily_retention",
        job=retention_job,
        cron_schedule="15 4 * * *",
        default_status=DefaultScheduleStatus.RUNNING,
    ),
    ScheduleDefinition(
        name="weekly_label_audit",
        job=label_audit_job,
        cron_schedule="0 5 * * 0",
        default_status=DefaultScheduleStatus.RUNNING,
    ),
]
