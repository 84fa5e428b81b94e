"""Gates as blocking asset checks, generated from the suites; nothing is written here per suite."""

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    MetadataValue,
)

from llm_pipeline.defs.resources import ACTOR, Pipeline
from llm_pipeline.defs.tables import table
from llm_pipeline.defs.traced import asset_check
from llm_pipeline.domain.records import GateResult
from llm_pipeline.gates.rules import CRITICAL
from llm_pipeline.gates.suites import SUITES, rules_of
from llm_pipeline.steps.check import check
from llm_pipeline.steps.promote import compare
from llm_pipeline.wiring import now

# A suite belongs to the asset of its name, but for the one that judges suggestions.
ASSET_OF = {"predictions": "recognized_submissions"}


def gate_check(suite: str) -> AssetChecksDefinition:
    """Return the blocking check that runs a suite over its asset."""

    @asset_check(
        asset=ASSET_OF.get(suite, suite),
        name=f"gate_{suite}",
        blocking=True,
        description="; ".join(rule.reason for rule in rules_of(suite)),
    )
    def gate(context: AssetCheckExecutionContext, pipeline: Pipeline) -> AssetCheckResult:
        parts = pipeline.parts
        result = check(parts.database, suite, ACTOR, now)
        return _shown(result, f"{parts.settings.api_url}/gates?suite={suite}")

    return gate


def _shown(result: GateResult, page: str) -> AssetCheckResult:
    is_critical = result.severity == CRITICAL
    return AssetCheckResult(
        passed=not result.failures,
        severity=AssetCheckSeverity.ERROR if is_critical else AssetCheckSeverity.WARN,
        metadata={
            "rows": result.rows,
            "expectations": result.checks,
            "failures": table(result.failures),
            "rows_named": len({(row.kind, row.key) for row in result.failing}),
            "figures": table([{"figure": name, "value": n} for name, n in result.figures.items()]),
            "ran": "in the database" if result.in_database else "in memory",
            "failing_rows": MetadataValue.url(f"{page}&result={result.id}#rows"),
            "history": MetadataValue.url(page),
        },
    )


# Blocking, so that it runs before the champion is chosen; a warning never stops a run.
@asset_check(
    asset="trained_model",
    blocking=True,
    description="the challenger answers better than the champion",
)
def challenger_beats_champion(pipeline: Pipeline) -> AssetCheckResult:
    """Warn where the challenger is no better: then `champion_model` keeps the champion."""
    parts = pipeline.parts
    compared = compare(parts.database, parts.load_model, extra=parts.settings.extra_names)
    return AssetCheckResult(
        passed=compared.verdict.promote,
        severity=AssetCheckSeverity.WARN,
        metadata={"reason": compared.verdict.reason},
    )


CHECKS: list[AssetChecksDefinition] = [
    *(gate_check(suite) for suite in SUITES),
    challenger_beats_champion,
]
