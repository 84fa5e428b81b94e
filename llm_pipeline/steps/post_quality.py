"""Post quality: what somebody else checked counts as a gate does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llm_pipeline.domain.records import GateResult
from llm_pipeline.gates.suites import SUITES
from llm_pipeline.store import breaker, log, metrics, quality
from llm_pipeline.store.engine import Session


@dataclass(frozen=True, slots=True)
class Checked:
    """A suite that was checked elsewhere, what came out, and the numbers that say so."""

    suite: str
    success: bool
    metrics: Mapping[str, float]
    at: datetime


def post_quality(session: Session, checked: Checked, actor: str, at: datetime) -> bool:
    """Store a result with its alert; one that failed stops automatic approval at once. Return
    whether automatic approval is stopped now.

    What is said of a suite that is checked here stands beside it, as `NAME (posted)`: its own
    failure is over only when its own check passes.
    """
    suite = f"{checked.suite} (posted)" if checked.suite in SUITES else checked.suite
    metrics.add(session, f"quality:{suite}", checked.metrics, checked.at)
    told = ", ".join(f"{name} {value:g}" for name, value in sorted(checked.metrics.items()))
    reason = f"{actor} posted a failure" + (f" ({told})" if told else "")
    failure: dict[str, Any] = {
        "expectation": "posted",
        "column": None,
        "severity": "critical",
        "reason": reason,
        "failing": 0,
        "examples": [],
    }
    failures = () if checked.success else (failure,)
    severity = "critical" if failures else "none"
    result = GateResult(suite, checked.success, severity, 0, max(1, len(checked.metrics)), failures)
    quality.record_gate(session, result, log.latest(session), actor, at)
    return bool(breaker.look(session, actor, at))
