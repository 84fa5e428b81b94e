"""The page of the gates: failing rows by their keys, figures, the report and its picture."""

from html import unescape

from llm_pipeline.domain.gate import FailingRow
from llm_pipeline.domain.records import GateResult
from llm_pipeline.steps.report import report_quality
from llm_pipeline.store import quality
from llm_pipeline.store.engine import open_engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.dashboard.conftest import Dashboard

FAILED = {"reason": "a probability is outside 0 to 1", "failing": 60, "severity": "critical"}


def test_the_page_lists_failing_rows_page_by_page(dashboard: Dashboard) -> None:
    rows = tuple(
        FailingRow("mapping", str(n), "outside 0 to 1", "critical", "<b>1.5</b>") for n in range(60)
    )
    figures = {"largest_share": 0.5, "unanswered_share": None, "schema_gaps": 0.0}
    result = GateResult("predictions", False, "critical", 90, 7, (FAILED,), rows, figures)
    engine = open_engine(dashboard.settings.store_url)
    fine = GateResult("approved_mappings", True, "", 90, 4)
    with transaction(engine) as session:
        quality.record_gate(session, fine, 0, "tests", now())
        for _ in range(2):
            newest = quality.record_gate(session, result, 0, "tests", now())
        report_quality(session, "tests", now())
    engine.dispose()
    with dashboard.client("viewer") as client:
        raw = client.get("/gates?suite=predictions").text
        first = unescape(raw)
        unasked = unescape(client.get("/gates").text)
        link = first.partition('#rows">Next')[0].rpartition('href="')[2]
        second = unescape(client.get(link.replace("&amp;", "&")).text)
    assert "60 of result" in first
    assert "60 of result" in unasked  # that fails, though another comes before it
    assert "<b>1.5</b>" not in raw.partition('id="boot"')[2]
    assert f"result={newest}" in link
    assert ("mapping 49" in first, "mapping 50" in first) == (True, False)
    assert ("mapping 49" in second, "mapping 59" in second) == (False, True)
    assert "at most 0.9 (warning)" in first
    assert "failed: predictions" in first
