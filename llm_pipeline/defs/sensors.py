"""What starts runs by itself: texts that wait, enough that is new to learn, runs that failed.

A run key names the data a run is about, so a sensor that ticks twice asks once, and a run that
failed is asked for again when there is something new, recognition and policies within the hour.
"""

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunFailureSensorContext,
    RunRequest,
    RunsFilter,
    RunStatusSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    run_status_sensor,
    sensor,
)

from llm_pipeline.defs.jobs import approval_job, learning_job, policy_job, recognition_job
from llm_pipeline.defs.resources import ACTOR, Pipeline
from llm_pipeline.domain.health import LOOKS_NEEDED, Health
from llm_pipeline.health.servers import api
from llm_pipeline.orchestrator import REASON_TAG, WANTED_TAG, learning_tags
from llm_pipeline.steps.alert import raise_alert, resolve_alert
from llm_pipeline.steps.observe import Observation, observe
from llm_pipeline.steps.recognize import MEMORY_ONLY
from llm_pipeline.steps.want_learning import Enough, due, look
from llm_pipeline.store import (
    audits,
    automatic,
    breaker,
    lots,
    models,
    policies,
    quality,
    suggestions,
    wishes,
)
from llm_pipeline.store.engine import Session
from llm_pipeline.wiring import now

RUN_FAILED = "run_failed"
API_SECONDS = 3.0
_UNDER_WAY = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
]


def _under_way(instance: DagsterInstance, job_name: str) -> bool:
    found = instance.get_runs(RunsFilter(job_name=job_name, statuses=_UNDER_WAY), limit=1)
    return bool(found)


@sensor(job=recognition_job, minimum_interval_seconds=2, default_status=DefaultSensorStatus.RUNNING)
def new_submissions(
    context: SensorEvaluationContext, pipeline: Pipeline
) -> RunRequest | SkipReason:
    """Start recognition when texts wait that the model in service has not seen, or when a file
    brought repeats: a lot decides which of them are audited, and doubtful ones are held.

    What a failed gate or run left waiting is looked at again every hour, and at once when the gate
    passes: the key has the hour of the clock, and the failure that is over.
    """
    with pipeline.parts.read() as session:
        champion = models.champion(session)
        version = champion.version if champion else MEMORY_ONLY
        newest = suggestions.newest_waiting(session, version)
        undrawn = lots.undrawn(session)
        is_held = quality.held_by(session, "submissions") is not None
        failure = "held" if is_held else quality.newest_failure(session, "submissions")
    if newest is None and not undrawn:
        return SkipReason(f"nothing waits for model {version}")
    if _under_way(context.instance, recognition_job.name):
        return SkipReason("a recognition is under way")
    data = f"{version}-{newest or 0}-{undrawn[-1] if undrawn else 0}"
    return RunRequest(run_key=f"recognition-{data}-{failure}-{now():%Y%m%d%H}")


@sensor(job=learning_job, minimum_interval_seconds=2, default_status=DefaultSensorStatus.RUNNING)
def wanted_learning(
    context: SensorEvaluationContext, pipeline: Pipeline
) -> RunRequest | SkipReason:
    """Start learning for what asks for it: decisions, feedback, drift, audits, or a person.

    The key names the newest wish, and each wish is one reason and version of the data: a run that
    failed is asked for again when there is a new one.
    """
    settings = pipeline.parts.settings
    enough = Enough(settings.learn_after, settings.learn_after_feedback)
    with pipeline.parts.begin() as session:
        look(session, enough, ACTOR, now())
        wanted = due(session, now())
    if wanted is None:
        return SkipReason("no training is wanted, or more reasons may come")
    if _under_way(context.instance, learning_job.name):
        return SkipReason("a training is under way")
    tags = learning_tags(wanted.reason, wanted.upto)
    return RunRequest(run_key=f"learning-{wanted.upto}", tags=tags)


@sensor(job=policy_job, minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def enough_audits(context: SensorEvaluationContext, pipeline: Pipeline) -> RunRequest | SkipReason:
    """Fit the policy again when enough audits were answered since it was fitted."""
    needed = pipeline.parts.settings.refit_after
    with pipeline.parts.read() as session:
        policy, answered = policies.in_force(session), audits.answered_count(session)
    fresh = answered - (0 if policy is None else policy.audits)
    if fresh < needed:
        return SkipReason(f"{fresh} of {needed} newly answered audits")
    if _under_way(context.instance, policy_job.name):
        return SkipReason("the policy is being fitted")
    number = 0 if policy is None else policy.id
    # With the hour of the clock, so that a fit that failed is asked for again.
    key = f"policy-{number}-{answered}-{now():%Y%m%d%H}"
    return RunRequest(run_key=key, tags={REASON_TAG: f"{fresh} newly answered audits"})


@sensor(job=approval_job, minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def policy_changed(context: SensorEvaluationContext, pipeline: Pipeline) -> RunRequest | SkipReason:
    """Let a policy look at what waits when it is new, or when automatic approval goes on."""
    with pipeline.parts.read() as session:
        policy, stops = policies.in_force(session), breaker.open_stops(session)
        resumed = breaker.newest_resumed(session)
        waits = policy is not None and automatic.unseen(session, policy.looked_to)
    if policy is None or not waits:
        return SkipReason("no suggestion waits for the policy")
    if stops:
        return SkipReason("automatic approval is stopped: " + "; ".join(s.reason for s in stops))
    if _under_way(context.instance, recognition_job.name):
        return SkipReason("a recognition is under way, which approves too")
    if _under_way(context.instance, approval_job.name):
        return SkipReason("an approval is under way")
    return RunRequest(run_key=f"approval-{policy.id}-{resumed}-{waits}")


@run_failure_sensor(default_status=DefaultSensorStatus.RUNNING, minimum_interval_seconds=5)
def run_failed(context: RunFailureSensorContext, pipeline: Pipeline) -> None:
    """Raise an alert that says which run failed and why."""
    run = context.dagster_run
    message = f"run {run.run_id} of {run.job_name} failed: {context.failure_event.message}"
    with pipeline.parts.begin() as session:
        raise_alert(session, RUN_FAILED, run.job_name, "critical", message, ACTOR, now())
        _end_wishes(session, run, "failed")


def _end_wishes(session: Session, run: DagsterRun, outcome: str) -> None:
    """End what a training was wanted for: it would keep others from being asked for."""
    if run.job_name == learning_job.name:
        wishes.end(session, run.run_id, int(run.tags.get(WANTED_TAG, "0")), outcome, now())


@run_status_sensor(
    run_status=DagsterRunStatus.CANCELED,
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_canceled(context: RunStatusSensorContext, pipeline: Pipeline) -> None:
    """Let a training be asked for again once somebody has cancelled the last one."""
    with pipeline.parts.begin() as session:
        _end_wishes(session, context.dagster_run, "cancelled")


@run_status_sensor(
    run_status=DagsterRunStatus.SUCCESS,
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=5,
)
def run_recovered(context: RunStatusSensorContext, pipeline: Pipeline) -> None:
    """Resolve the alert of a job once it succeeds again."""
    with pipeline.parts.begin() as session:
        resolve_alert(session, RUN_FAILED, context.dagster_run.job_name, ACTOR, now())


@sensor(minimum_interval_seconds=5, default_status=DefaultSensorStatus.RUNNING)
def api_answers(context: SensorEvaluationContext, pipeline: Pipeline) -> SkipReason:
    """Notice when the API does not answer twice in a row, and when it does again: a dead one raises
    no alert. The cursor is how often it did not."""
    seen = api(pipeline.parts.settings, API_SECONDS)
    silent = 0 if seen.status is Health.OK else int(context.cursor or 0) + 1
    context.update_cursor(str(silent))
    if silent == 0 or silent >= LOOKS_NEEDED:
        at = now()
        with pipeline.parts.begin() as session:
            observe(session, [Observation(seen, at)], ACTOR, at)
    return SkipReason(seen.reason or seen.detail)


SENSORS: list[SensorDefinition] = [
    api_answers,
    new_submissions,
    wanted_learning,
    enough_audits,
    policy_changed,
    run_failed,
    run_canceled,
    run_recovered,
]
