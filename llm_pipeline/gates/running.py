"""Running a suite: over a frame in memory, or inside the database where the table is large.

The only home of Great Expectations, which is imported inside functions: it costs 6 s of CPU and
270 MB in processes that never use it. Both ways run the same expectations: those over a database
become a few aggregates in one SELECT, asked for yes or no first and for rows only where it is no.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from llm_pipeline.domain.gate import LISTED, FailingRow, Figures
from llm_pipeline.domain.records import GateResult
from llm_pipeline.errors import GateFailed
from llm_pipeline.gates.rules import CRITICAL, WARNING, Rule
from llm_pipeline.gates.suites import FIGURES, SUITES, rules_of

if TYPE_CHECKING:
    from great_expectations.datasource.fluent.interfaces import Batch

EXAMPLES = 20
KEY = "row_key"


@dataclass(frozen=True, slots=True)
class InDatabase:
    """Rows that stay in the database: where it is, and the query for them with their `row_key`.

    `prepare` is told of the engine and the query before anything is asked.
    """

    url: str
    query: str
    rows: int
    prepare: Callable[[Any, str], None]


Rows = pd.DataFrame | InDatabase


def validate(suite: str, rows: Rows, figures: Figures | None = None) -> GateResult:
    """Check rows against a suite, and figures where they are given.

    `rows` need the columns that the suite's rules name. The index of a frame identifies its rows,
    and the failing ones are listed by it, up to `LISTED` of each rule.
    """
    found = _validated(SUITES[suite], rows, _size(rows))
    rules = SUITES[suite]
    if figures is not None:
        rules = rules_of(suite)
        found += _of_figures(FIGURES[suite], figures)
    severities = {failure["severity"] for failure, _ in found}
    return GateResult(
        suite=suite,
        success=CRITICAL not in severities,
        severity=CRITICAL if CRITICAL in severities else WARNING if severities else "none",
        rows=_size(rows),
        checks=len(rules),
        failures=tuple(failure for failure, _ in found),
        failing=tuple(row for _, listed in found for row in listed),
        figures={} if figures is None else dict(figures.values),
        in_database=isinstance(rows, InDatabase),
    )


def broken_rules(suite: str, frame: pd.DataFrame) -> dict[Any, list[int]]:
    """Return which critical rules each failing row breaks, by its index in the frame.

    Raises GateFailed if a check could not run at all: a broken check must not pass rows.
    """
    found: dict[Any, list[int]] = {}
    with _batch(frame) as batch:
        results = _run(SUITES[suite], batch, _complete())
    for number, (rule, result) in enumerate(results):
        if broken := _exception(result):
            raise GateFailed(f"the gate {suite} could not check {rule.arguments}: {broken}")
        if rule.severity == CRITICAL:
            for index in result["result"].get("unexpected_index_list") or ():
                # Not from `unexpected_list`: Great Expectations cuts that one at 200.
                found.setdefault(index, []).append(number)
    return found


Failed = tuple[dict[str, Any], Sequence[FailingRow]]


def _validated(rules: Sequence[Rule], rows: Rows, size: int) -> list[Failed]:
    """The rules that fail, each with the rows that fail it."""
    with _batch(rows) as batch:
        outcome = _run(rules, batch, "BOOLEAN_ONLY")
        failed = [rule for rule, result in outcome if not result["success"]]
        details = _run(failed, batch, _summary(rows)) if failed else []
    return [(_failure(rule, result, size), _listed(rule, result, rows)) for rule, result in details]


def _of_figures(rules: Sequence[Rule], figures: Figures) -> list[Failed]:
    frame = pd.DataFrame([dict(figures.values)]).astype(float)
    found: list[Failed] = []
    for failure, _ in _validated(rules, frame, 1):
        listed = figures.listed.get(failure["column"], ())
        failure |= {"failing": len(listed), "observed": figures.values.get(failure["column"])}
        failure["examples"] = [row.value for row in listed[:EXAMPLES]]
        named = [
            FailingRow(row.kind, row.key, failure["reason"], failure["severity"], row.value)
            for row in listed[:LISTED]
        ]
        found.append((failure | {"listed": len(named)}, named))
    return found


def _size(rows: Rows) -> int:
    return rows.rows if isinstance(rows, InDatabase) else len(rows)


def _complete() -> dict[str, Any]:
    return {"result_format": "COMPLETE", "return_unexpected_index_query": False}


def _summary(rows: Rows) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": LISTED,
        "return_unexpected_index_query": False,
    }
    if isinstance(rows, InDatabase):
        wanted["unexpected_index_column_names"] = [KEY]
    return wanted


def _run(rules: Sequence[Rule], batch: "Batch", wanted: Any) -> list[tuple[Rule, dict[str, Any]]]:
    """Each rule with its result, in their order: Great Expectations returns them in its own."""
    import great_expectations as gx
    import great_expectations.expectations as gxe

    made = [
        getattr(gxe, rule.expectation)(
            **rule.arguments, severity=rule.severity, meta={"rule": number}
        )
        for number, rule in enumerate(rules)
    ]
    suite = gx.ExpectationSuite(name="rules", expectations=made)
    outcome = batch.validate(suite, result_format=wanted)
    results: list[dict[str, Any]] = [one.to_json_dict() for one in outcome.results]
    results.sort(key=lambda one: one["expectation_config"]["meta"]["rule"])
    return list(zip(rules, results, strict=True))


@contextmanager
def _batch(rows: Rows) -> Iterator["Batch"]:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    if isinstance(rows, pd.DataFrame):
        source = context.data_sources.add_pandas("frame")
        definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
        yield definition.get_batch(batch_parameters={"dataframe": rows})
        return
    kind = "sqlite" if rows.url.startswith("sqlite") else "postgres"
    store = getattr(context.data_sources, f"add_{kind}")("store", connection_string=rows.url)
    asset = store.add_query_asset("rows", query=rows.query)
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    rows.prepare(batch.data.execution_engine.engine, rows.query)
    try:
        yield batch
    finally:
        # It has a pool for itself and one for its tests of the address, and closes neither.
        batch.data.execution_engine.close()
        store.get_engine().dispose()


def _failure(rule: Rule, result: Mapping[str, Any], size: int) -> dict[str, Any]:
    detail = result["result"]
    raised = _exception(result)
    failing = detail.get("unexpected_count", size)
    examples = detail.get("partial_unexpected_list", [])[:EXAMPLES]
    return {
        "expectation": rule.expectation,
        "column": rule.arguments.get("column"),
        # A check that could not look must not let rows pass, however lenient its rule.
        "severity": CRITICAL if raised else rule.severity,
        "reason": f"the check itself broke: {raised}" if raised else rule.reason,
        "failing": failing,
        "listed": min(failing, LISTED) if detail else 0,
        "observed": detail.get("observed_value"),
        "examples": [str(value) for value in examples],
    }


def _listed(rule: Rule, result: Mapping[str, Any], rows: Rows) -> list[FailingRow]:
    """The rows that fail a rule, in the order of their keys: a database gives them in none."""
    found = result["result"].get("partial_unexpected_index_list") or ()
    if isinstance(rows, pd.DataFrame):
        pairs = [(index, rows.loc[index, rule.column]) for index in found]
    else:
        pairs = [(one[KEY], one[rule.column]) for one in found]
    return [
        FailingRow("row", str(key), told(rule, value), rule.severity, _shown(value))
        for key, value in sorted(pairs[:LISTED], key=lambda pair: pair[0])
    ]


def told(rule: Rule, value: object) -> str:
    """Return why a value breaks a rule; a state column says itself what is wrong with its row."""
    return f"{rule.reason}: {value}" if rule.column.endswith("_state") else rule.reason


def _shown(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _exception(result: Mapping[str, Any]) -> str:
    """A missing column is no exception in Great Expectations, but a note in the result."""
    info = result.get("exception_info") or {}
    notes = [info] if "raised_exception" in info else list(info.values())
    raised = [note["exception_message"] for note in notes if note.get("raised_exception")]
    return raised[0] if raised else ""
