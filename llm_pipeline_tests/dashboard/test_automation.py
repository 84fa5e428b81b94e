"""Automatic approval in a real browser: a text drawn by lot is audited without its answer shown."""

from playwright.sync_api import BrowserContext, expect

from llm_pipeline.domain.records import Status
from llm_pipeline.store import mappings
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.wiring import now
from llm_pipeline_tests.automation_factories import arrive, suggest
from llm_pipeline_tests.dashboard.conftest import Dashboard
from llm_pipeline_tests.dashboard.test_journey import opened


def test_a_text_drawn_by_lot_is_audited_and_approved(
    dashboard: Dashboard, signed_in: BrowserContext
) -> None:
    engine = open_engine(dashboard.settings.store_url)
    store = Database(engine)
    (mapping_id,) = arrive(store, now, ["BLUE BOTTLE 0423"], share=1.0)
    suggest(store, [mapping_id], "SBUX")
    page = opened(signed_in, "/automation")
    expect(page.get_by_text("149 audits without an error are missing")).to_be_visible()
    row = page.locator("tr", has_text="BLUE BOTTLE 0423")
    expect(row).not_to_contain_text("SBUX")
    row.get_by_role("button", name="Answer").click()
    page.get_by_label("Key of its target").fill("NOBODY")
    page.locator("dialog").get_by_role("button", name="Answer").click()
    expect(page.get_by_text("target 'NOBODY' is not an active entry")).to_be_visible()
    page.get_by_label("Key of its target").fill("BLUE")
    page.locator("dialog").get_by_role("button", name="Answer").click()
    expect(page.get_by_text("None for you")).to_be_visible()
    with store.read() as session:
        stored = mappings.get(session, mapping_id)
    engine.dispose()
    assert (stored.status, stored.target) == (Status.APPROVED, "BLUE")
