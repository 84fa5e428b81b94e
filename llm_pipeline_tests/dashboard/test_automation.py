"""Automatic approval in a real browser: a text drawn by lot is audited without its answer shown."""

from playwright.sync_api import Browser, BrowserContext, expect

from llm_pipeline.domain.records import Status
from llm_pipeline.steps.fit_policy import Wish, fit_policy
from llm_pipeline.store import mappings
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline.wiring import now
from llm_pipeline_tests.automation_factories import arrive, proven_but_for_names, suggest
from llm_pipeline_tests.dashboard.conftest import Dashboard, opened, sign_in


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
    page.get_by_label("Search the catalogue").fill("NOBODY")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing in the catalogue contains “NOBODY”")).to_be_visible()
    page.get_by_label("Search the catalogue").fill("blue bot")
    page.keyboard.press("Enter")
    expect(page.get_by_text("None for you")).to_be_visible()
    with store.read() as session:
        stored = mappings.get(session, mapping_id)
    engine.dispose()
    assert (stored.status, stored.target) == (Status.APPROVED, "BLUE")


def test_an_admin_sets_the_bound_stops_and_goes_on(dashboard: Dashboard, browser: Browser) -> None:
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "admin")
        page = opened(context, "/automation")
        page.get_by_role("button", name="Change the bound").click()
        page.get_by_label("Wrong at most").fill("500")
        page.get_by_role("button", name="Set the bound").click()
        expect(page.get_by_text("'500' is no percentage")).to_be_visible()
        page.get_by_label("Wrong at most").fill("5")
        page.get_by_label("Confidence").fill("90 %")
        page.get_by_role("button", name="Set the bound").click()
        expect(page.get_by_text("At most 5.0 % wrong with 90.0 % confidence")).to_be_visible()
        page.get_by_role("button", name="Stop").click()
        page.get_by_label("Reason").fill("a look first")
        page.get_by_role("button", name="Stop it").click()
        expect(page.locator("tr", has_text="a look first")).to_contain_text("still stopped")
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("Reason").fill("looked")
        page.locator("dialog").get_by_role("button", name="Go on").click()
        expect(page.locator("tr", has_text="a look first")).to_contain_text("looked")


def test_the_page_says_which_answers_are_left_out_and_why(
    dashboard: Dashboard, browser: Browser
) -> None:
    engine = open_engine(dashboard.settings.store_url)
    proven_but_for_names(Database(engine), now)
    with Database(engine).begin() as session:
        fit_policy(session, Wish(0.05, 0.95), "tests", now(), "tests")
    engine.dispose()
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "admin")
        page = opened(context, "/automation")
        left_out = page.locator("section", has=page.get_by_role("heading", name="What is left out"))
        row = left_out.locator("tr", has_text="names")
        expect(row).to_contain_text("the last 2 months")
        cells = row.locator("td.num").all_inner_texts()
    assert cells == ["20", "5", "5.0\N{NO-BREAK SPACE}%"]


def test_a_reviewer_cannot_steer(signed_in: BrowserContext) -> None:
    page = opened(signed_in, "/automation")
    expect(page.get_by_role("heading", name="Automatic approval")).to_be_visible()
    expect(page.get_by_role("button", name="Change the bound")).to_have_count(0)
