"""Pipeline and systems in a real browser: numbers and their limits, Dagster away, webhooks."""

from playwright.sync_api import Browser, BrowserContext, expect

from llm_pipeline_tests.dashboard.conftest import Dashboard, opened, sign_in
from llm_pipeline_tests.receivers import receiving

POST, LIMITS = "/api/ml/update-system-metrics", "/api/ml/system-metrics/limits"


def test_posted_numbers_are_shown_as_they_come(
    dashboard: Dashboard, signed_in: BrowserContext
) -> None:
    page = opened(signed_in, "/systems")
    expect(page.get_by_text("None yet").first).to_be_visible()
    with dashboard.client("admin") as admin:
        limit = {"queue_depth": {"max": 10, "severity": "warning"}}
        assert admin.put(LIMITS, json={"source": "etl", "limits": limit}).is_success
        for depth in (3, 12):
            posted = {"source": "etl", "metrics": {"queue_depth": depth}}
            assert admin.post(POST, json=posted).status_code == 202
    shown = page.locator("section.card", has_text="queue depth")
    expect(shown).to_contain_text("12")
    expect(shown).to_contain_text("outside")
    expect(shown.get_by_role("img", name="queue depth over time")).to_be_visible()
    # Nothing listens at the address of Dagster here.
    expect(page.get_by_text("Dagster does not answer")).to_be_visible()
    expect(page.get_by_text("Webhooks")).to_have_count(0)


def test_an_admin_adds_a_webhook_and_sees_what_came_of_its_messages(
    dashboard: Dashboard, browser: Browser
) -> None:
    with browser.new_context(base_url=dashboard.url) as context, receiving() as receiver:
        sign_in(context, dashboard, "admin")
        page = opened(context, "/systems")
        page.get_by_role("button", name="Add one").click()
        page.get_by_label("Address, https or on this machine").fill("http://example.com/hook")
        page.get_by_role("button", name="Add it").click()
        expect(page.get_by_text("https", exact=False).first).to_be_visible()
        page.get_by_label("Address, https or on this machine").fill(receiver.url)
        page.get_by_role("button", name="Add it").click()
        secret = page.locator(".note b").inner_text()
        page.locator("tr", has_text=receiver.url).get_by_role("button", name="Test").click()
        expect(page.get_by_text("delivered, 1 attempt, answered 200")).to_be_visible()
        assert len(receiver.messages) == 1
        assert receiver.verified(secret)
        page.get_by_role("button", name="Remove").click()
        expect(page.locator("tr", has_text=receiver.url)).to_have_count(0)
