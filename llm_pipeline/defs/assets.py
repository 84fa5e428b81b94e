"""The nouns of the pipeline as assets: take the parts, call one step, tell what came of it."""

from base64 import b64encode
from typing import Any

from dagster import AssetExecutionContext, AssetsDefinition, MaterializeResult, MetadataValue

from llm_pipeline.defs.resources import ACTOR, Pipeline
from llm_pipeline.defs.tables import counted, table
from llm_pipeline.defs.traced import asset
from llm_pipeline.model.quality_plots import quality_picture
from llm_pipeline.orchestrator import REASON_TAG
from llm_pipeline.steps.draw_audits import draw_audits
from llm_pipeline.steps.evaluate import evaluate_model
from llm_pipeline.steps.find_errors import find_errors
from llm_pipeline.steps.forecast import foresee
from llm_pipeline.steps.forecast import write as write_forecast
from llm_pipeline.steps.hold import hold_repeats, score_repeats
from llm_pipeline.steps.prepare import prepare as freeze
from llm_pipeline.steps.promote import compare, settle
from llm_pipeline.steps.recognize import recognize_waiting
from llm_pipeline.steps.report import report_performance, report_quality
from llm_pipeline.steps.train import train
from llm_pipeline.store import activity, log, mappings, suggestions, training, wishes
from llm_pipeline.store import label_errors as doubted
from llm_pipeline.store.quality import Report
from llm_pipeline.wiring import DICE, now


@asset(group_name="llm_center", kinds={"table"})
def submissions(pipeline: Pipeline) -> MaterializeResult[Any]:
    """Every text that arrived, one by one or in files, and how its mapping stands."""
    with pipeline.parts.read() as session:
        days = activity.submissions_by_day(session)
        return MaterializeResult(
            metadata={
                "offset": log.latest(session),
                "submissions": activity.total(session, activity.RECEIVED),
                "rows_set_aside": activity.total(session, activity.SET_ASIDE),
                "by_status": table(counted("status", mappings.counts(session))),
                "last_days": table([{"day": str(d), "submissions": n} for d, n in days[-14:]]),
            }
        )


@asset(group_name="llm_center", deps=[submissions], kinds={"scikitlearn"})
def recognized_submissions(pipeline: Pipeline) -> MaterializeResult[Any]:
    """The waiting texts, each with the suggestion of the model in service.

    Which of them are audited is drawn first, before anybody knows an answer. Repeats of approved
    texts that the policy does not let pass are held for people.
    """
    serving, due = pipeline.parts.serving(), pipeline.parts.settings.audit_due
    with pipeline.parts.begin() as session:
        audits = draw_audits(session, ACTOR, now(), due, DICE)
        score_repeats(session, serving.recognize)
    done = recognize_waiting(pipeline.parts.database, serving, ACTOR, now)
    held = hold_repeats(pipeline.parts.database, serving.recognize, due, ACTOR, now)
    with pipeline.parts.read() as session:
        examples = suggestions.examples(session, 20)
    return MaterializeResult(
        metadata={
            "recognized": done.rows,
            "matched": done.matched,
            "audits_drawn": audits,
            "repeats_held": held.rows,
            "model_version": done.model_version,
            "suggestions": table(examples),
        }
    )


@asset(group_name="llm_center", deps=[submissions], kinds={"table"})
def approved_mappings(pipeline: Pipeline) -> MaterializeResult[Any]:
    """The texts that mean a target now: what memory answers and trainings learn from."""
    with pipeline.parts.read() as session:
        offset = log.latest(session)
        texts = training.live_texts(session, offset)
    frequent = texts["target"].value_counts().head(15)
    return MaterializeResult(
        metadata={
            "offset": offset,
            "texts": len(texts),
            "rows": int(texts["rows"].sum()),
            "targets": int(texts["target"].nunique()),
            "frequent_targets": table(
                counted("target", {str(key): int(n) for key, n in frequent.items()})
            ),
        }
    )


@asset(group_name="ml", deps=[approved_mappings], kinds={"table"})
def training_set(context: AssetExecutionContext, pipeline: Pipeline) -> MaterializeResult[Any]:
    """The approved mappings frozen at an offset; the same offset gives the same rows for ever.

    Whatever asked for a training by now is answered by this run.
    """
    with pipeline.parts.begin() as session:
        wanted = wishes.take_up(session, context.run.run_id, now())
        built = freeze(session, ACTOR, now())
    return MaterializeResult(
        metadata={
            "as_of": built.as_of,
            "texts": built.texts,
            "rows": built.rows,
            "targets": built.targets,
            "digest": built.digest,
            "wanted": table([{"kind": one.kind.value, "reason": one.reason} for one in wanted]),
        }
    )


@asset(group_name="ml", deps=[training_set], kinds={"scikitlearn", "mlflow"})
def trained_model(context: AssetExecutionContext, pipeline: Pipeline) -> MaterializeResult[Any]:
    """A challenger: trained on the gated training set, evaluated on held-out keys, registered."""
    parts = pipeline.parts
    why = pipeline.why(context.run.tags.get(REASON_TAG, "materialised by hand"))
    model = train(parts.database, parts.registry, why, now, extra=parts.settings.extra_names)
    return MaterializeResult(
        metadata={
            "version": model.version,
            "as_of": model.as_of,
            "mlflow_run": MetadataValue.url(parts.registry.run_url(model.run_id) or ""),
            **{name: round(value, 4) for name, value in model.metrics.items()},
        }
    )


@asset(group_name="ml", deps=[trained_model], kinds={"mlflow"})
def champion_model(context: AssetExecutionContext, pipeline: Pipeline) -> MaterializeResult[Any]:
    """The model that answers: replaced only by a challenger that beats it on the same texts."""
    parts = pipeline.parts
    compared = compare(parts.database, parts.load_model, extra=parts.settings.extra_names)
    with parts.begin() as session:
        shadow_first = parts.settings.shadow_answers
        promoted = settle(session, parts.registry, compared, ACTOR, now(), shadow=shadow_first)
        wishes.end(session, context.run.run_id, 0, "promoted" if promoted else "refused", now())
    before = compared.champion.version if compared.champion else None
    return MaterializeResult(
        metadata={
            "promoted": promoted,
            "champion": compared.challenger.version if promoted else before,
            "before": before,
            "reason": compared.verdict.reason,
        }
    )


# After the champion is chosen, and last of what is ready then: nobody waits for it.
@asset(
    group_name="ml",
    deps=[trained_model, champion_model],
    kinds={"scikitlearn", "mlflow"},
    op_tags={"dagster/priority": "-1"},
)
def model_evaluation(pipeline: Pipeline) -> MaterializeResult[Any]:
    """How the newest model's way of learning would have answered the stream, and where it is weak:
    each labelled row answered before it was learned."""
    parts = pipeline.parts
    extra = parts.settings.extra_names
    report = evaluate_model(
        parts.database, parts.registry, parts.load_model, ACTOR, now, extra=extra
    )
    content = report.content
    shown = {name: round(value, 4) for name, value in content["metrics"].items()}
    run_url = parts.registry.run_url(content["run_id"]) or ""
    weak = [line for line in content["slices"] if line["weak"]]
    return _reported(
        report,
        {
            "version": content["model_version"],
            "mlflow_run": MetadataValue.url(run_url),
            "weak_slices": table(weak),
            "slices": table(content["slices"]),
            "worst_targets": table(content["targets"]),
            "confusions": table(content["confusions"]),
            "surest_wrong_answers": table(content["surest_wrong"]),
            **shown,
        },
    )


@asset(group_name="data", deps=[submissions, approved_mappings, training_set], kinds={"table"})
def quality_report(pipeline: Pipeline) -> MaterializeResult[Any]:
    """What the gates say, what drifted, labels in doubt and freshness, in one verdict."""
    with pipeline.parts.begin() as session:
        report = report_quality(session, ACTOR, now())
    content = report.content
    gates = [
        {"suite": suite, "success": gate["success"], "rows": gate["rows"]}
        for suite, gate in content["gates"].items()
    ]
    measures = ("name", "measure", "value", "limit", "large")
    parts = [{name: part[name] for name in measures} for part in content["drift"]["parts"]]
    picture = b64encode(quality_picture(content)).decode()
    return _reported(
        report,
        {
            "gates": table(gates),
            "drift": table(parts),
            "drift_told": content["drift"]["told"],
            "freshness": table(content["freshness"]),
            "label_errors": content["label_errors"],
            "plot": MetadataValue.md(f"![drift](data:image/png;base64,{picture})"),
            "page": MetadataValue.url(f"{pipeline.parts.settings.api_url}/gates"),
        },
    )


@asset(group_name="data", deps=[champion_model], kinds={"table"})
def performance_report(pipeline: Pipeline) -> MaterializeResult[Any]:
    """How the models did on held-out texts, and what reviewers made of their suggestions."""
    with pipeline.parts.begin() as session:
        report = report_performance(session, ACTOR, now())
    shown = ("version", "status", "as_of", "accuracy", "unseen_accuracy", "unseen_ece")
    models = [{name: model[name] for name in shown} for model in report.content["models"]]
    return _reported(
        report, {"models": table(models), "agreement": table(report.content["agreement"])}
    )


@asset(group_name="data", deps=[submissions], kinds={"table"})
def insights(pipeline: Pipeline) -> MaterializeResult[Any]:
    """What to expect of the coming weeks, or why nothing can be said, and how it was before."""
    with pipeline.parts.read() as session:
        content = foresee(session, now())
    with pipeline.parts.begin() as session:
        report = write_forecast(session, content, ACTOR, now())
    told = {
        one["name"]: table((one["forecast"] or {}).get("weeks", [])) for one in content["series"]
    }
    return _reported(report, told)


@asset(group_name="data", deps=[training_set], kinds={"scikitlearn"})
def label_errors(pipeline: Pipeline) -> MaterializeResult[Any]:
    """Approved labels that disagree with what all the others teach, for review."""
    found = find_errors(pipeline.parts.database, ACTOR, now)
    with pipeline.parts.read() as session:
        surest = doubted.page(session, None, 20)
    shown = ("text", "target", "suggested_target", "score", "reason")
    return MaterializeResult(
        metadata={
            "as_of": found.as_of,
            "texts": found.texts,
            "doubted": found.doubted,
            "surest": table([{name: getattr(one, name) for name in shown} for one in surest]),
        }
    )


def _reported(report: Report, more: dict[str, Any]) -> MaterializeResult[Any]:
    return MaterializeResult(
        metadata={"verdict": report.verdict, "as_of": report.as_of, "report": report.id, **more}
    )


ASSETS: list[AssetsDefinition] = [
    submissions,
    recognized_submissions,
    approved_mappings,
    training_set,
    trained_model,
    champion_model,
    model_evaluation,
    quality_report,
    performance_report,
    insights,
    label_errors,
]
