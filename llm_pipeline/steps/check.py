"""Check: run a quality gate over what is in the store; a failure holds what comes after it."""

from collections.abc import Callable
from datetime import datetime

import pandas as pd

from llm_pipeline import gates
from llm_pipeline.domain.events import AlertRaised, AlertResolved, Event, GateChecked
from llm_pipeline.domain.records import GateResult
from llm_pipeline.domain.text import text_problem
from llm_pipeline.store import activity, alerts, log, quality, suggestions, training
from llm_pipeline.store.engine import Database, Session

ALERT_RULE = "gate_failed"
NEWEST = 50_000


def check(database: Database, suite: str, actor: str, clock: Callable[[], datetime]) -> GateResult:
    """Run a suite, store its result, and raise or resolve the alert that belongs to it."""
    with database.read() as session:
        as_of, frame = _frame(session, suite)
    result = gates.validate(suite, frame)
    with database.begin() as session:
        _keep(session, result, as_of, actor, clock())
    return result


def _keep(session: Session, result: GateResult, as_of: int, actor: str, at: datetime) -> None:
    told = [f"{failure['reason']} ({failure['failing']} rows)" for failure in result.failures]
    checked = GateChecked(actor, result.suite, result.success, result.severity, result.rows, told)
    alert = _alert(session, result, "; ".join(told), actor, at)
    log.append(session, at, checked, *alert)
    quality.save_gate(session, result, as_of, at)


def _frame(session: Session, suite: str) -> tuple[int, pd.DataFrame]:
    """The rows a suite looks at, and the offset they speak of."""
    as_of = log.latest(session)
    if suite == "predictions":
        return as_of, suggestions.stored(session)
    if suite == "submissions":
        return as_of, _states(activity.newest_submissions(session, NEWEST))
    if suite == "training_set":
        built = training.latest_training_set(session)
        as_of = built.as_of if built else 0
    texts = training.live_texts(session, as_of)
    return as_of, texts.assign(text_length=texts["text"].str.len())


def _states(rows: pd.DataFrame) -> pd.DataFrame:
    """What the suite of submissions looks at, for rows that are in the store already."""
    retired = rows["target"] + " is retired"
    return rows.assign(
        text_length=rows["text"].str.len(),
        text_state=[text_problem(text) or "ok" for text in rows["text"]],
        target_state=retired.where(rows["retired"], "known").where(rows["target"].notna(), "none"),
        time_state="ok",
        amount_state="ok",
    )


def _alert(
    session: Session, result: GateResult, message: str, actor: str, at: datetime
) -> list[Event]:
    if result.success:
        settled = alerts.resolve(session, ALERT_RULE, result.suite, at)
        return [] if settled is None else [AlertResolved(actor, settled, ALERT_RULE)]
    message = f"the gate {result.suite} failed: {message}"
    found = alerts.Finding(ALERT_RULE, result.suite, result.severity, message)
    raised = alerts.raise_once(session, found, at)
    if raised is None:
        return []
    return [AlertRaised(actor, raised, ALERT_RULE, result.severity, message)]
