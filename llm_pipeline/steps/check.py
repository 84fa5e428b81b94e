"""Check: run a quality gate over what is in the store; a failure holds what comes after it."""

from collections.abc import Callable
from datetime import datetime

import pandas as pd

from llm_pipeline import gates
from llm_pipeline.domain.records import GateResult
from llm_pipeline.domain.text import text_problem
from llm_pipeline.store import activity, log, quality, suggestions, training
from llm_pipeline.store.engine import Database, Session

NEWEST = 50_000


def check(database: Database, suite: str, actor: str, clock: Callable[[], datetime]) -> GateResult:
    """Run a suite, store its result, and raise or resolve the alert that belongs to it."""
    with database.read() as session:
        as_of, frame = _frame(session, suite)
    result = gates.validate(suite, frame)
    with database.begin() as session:
        quality.record_gate(session, result, as_of, actor, clock())
    return result


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
    automatic = suite == "approved_mappings"
    texts = training.live_texts(session, as_of, automatic=automatic)
    return as_of, texts.assign(text_length=texts["text"].str.len())


def _states(rows: pd.DataFrame) -> pd.DataFrame:
    """What the suite of submissions looks at, for rows that are in the store already."""
    return rows.assign(
        text_length=rows["text"].str.len(),
        text_state=[text_problem(text) or "ok" for text in rows["text"]],
        # A target that was in use when its proposal arrived may be retired since.
        target_state=["none" if target is None else "known" for target in rows["target"]],
        time_state="ok",
        amount_state="ok",
    )
