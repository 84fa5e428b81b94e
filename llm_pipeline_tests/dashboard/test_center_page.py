"""LLM Center in a browser: a mapping is found, decided, taken back; a catalogue comes as a file."""

from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, expect
from sqlalchemy import text

from llm_pipeline.store.engine import open_engine, transaction
from llm_pipeline_tests.dashboard.conftest import Dashboard, opened, sign_in

MAPPINGS = "/api/llm-center/mappings"


def test_what_was_found_is_decided_there_and_what_is_like_it_by_a_plan(
    dashboard: Dashboard, signed_in: BrowserContext
) -> None:
    with dashboard.client() as client:
        for number in range(3):
            client.post(MAPPINGS, json={"text": f"BLUE BOTTLE {number}417 OAKLAND"})
        page = opened(signed_in, "/center")
        page.get_by_placeholder("parts of words").fill("bottle 1417")
        page.wait_for_url("**/center?status=pending&q=bottle+1417&*")
        page.get_by_role("link", name="BLUE BOTTLE 1417 OAKLAND").click()
        dialog = page.locator("dialog[id^=mapping]")
        dialog.get_by_role("button", name="Another target").click()
        page.get_by_placeholder("key or name of a target").fill("blue")
        page.keyboard.press("Enter")
        expect(dialog.locator(".tag")).to_have_text("approved")
        dialog.get_by_role("button", name="Let it wait again").click()
        expect(dialog.locator(".tag")).to_have_text("pending")
        dialog.get_by_role("button", name="Undo the last decision").click()
        expect(dialog.locator(".tag")).to_have_text("approved")
        dialog.get_by_role("button", name="Undo the last decision").click()
        expect(dialog.locator(".tag")).to_have_text("pending")

        dialog.get_by_role("button", name="Reject").click()
        expect(dialog.get_by_text("2 texts like it wait, 2 rows")).to_be_visible()
        dialog.get_by_role("button", name="Preview the same for all").click()
        page.wait_for_url("**/plans?plan=*")
        expect(page.get_by_text("2 mappings").first).to_be_visible()
        counts = client.get("/api/llm/state").json()["center"]["mappings"]
    assert (counts["rejected"], counts["pending"]) == (1, 2)


def test_a_decision_about_what_somebody_else_changed_is_refused_and_shown_anew(
    dashboard: Dashboard, signed_in: BrowserContext
) -> None:
    with dashboard.client() as client:
        made = client.post(MAPPINGS, json={"text": "SOLE CAFE", "target": "SBUX"}).json()
        page = opened(signed_in, f"/center?mapping={made['id']}")
        said = {"action": "reject", "version": made["version"]}
        client.post(f"{MAPPINGS}/{made['id']}/decision", json=said)
        page.get_by_role("button", name="Approve as SBUX").click()
        expect(page.get_by_text("read it again and decide again")).to_be_visible()
        expect(page.locator("dialog .tag")).to_have_text("rejected")
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)


def test_a_live_mapping_that_is_corrected_has_its_new_target_in_the_list_behind(
    dashboard: Dashboard, signed_in: BrowserContext
) -> None:
    with dashboard.client() as client:
        made = client.post(MAPPINGS, json={"text": "SOLE CAFE", "target": "SBUX"}).json()
        said = {"action": "approve", "version": made["version"]}
        client.post(f"{MAPPINGS}/{made['id']}/decision", json=said)
    page = opened(signed_in, f"/center?status=approved&mapping={made['id']}")
    expect(page.locator("tbody tr")).to_contain_text("SBUX")
    page.get_by_role("button", name="Another target").click()
    page.get_by_placeholder("key or name of a target").fill("blue")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_contain_text("BLUE")


def test_a_viewer_sees_a_mapping_and_decides_nothing(
    dashboard: Dashboard, browser: Browser
) -> None:
    with dashboard.client() as client:
        made = client.post(MAPPINGS, json={"text": "SOLE CAFE", "target": "SBUX"}).json()
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "viewer")
        page = opened(context, f"/center?mapping={made['id']}")
        expect(page.locator("dialog button")).to_have_text(["Close Esc"])


def test_a_catalogue_comes_as_a_file_all_of_it_or_nothing(
    dashboard: Dashboard, browser: Browser, tmp_path: Path
) -> None:
    good, bad = tmp_path / "codes.csv", tmp_path / "hole.csv"
    good.write_text("code,title,category\n0763,Agricultural Cooperatives,Farms\nBLUE,Blue,Cafes\n")
    bad.write_text("code,title\n0742,Veterinary Services\n0780,\n")
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "admin")
        page = opened(context, "/targets")
        page.get_by_label("Key column").fill("code")
        page.get_by_label("Name column").fill("title")
        page.set_input_files("input[type=file]", bad)
        expect(page.get_by_text("hole.csv line 3: the title is empty")).to_be_visible()
        page.set_input_files("input[type=file]", good)
        expect(page.get_by_text("1 new, 1 changed")).to_be_visible()
        expect(page.get_by_role("cell", name="Agricultural Cooperatives")).to_be_visible()
        expect(page.get_by_role("cell", name="Veterinary Services")).to_have_count(0)


def test_a_file_s_times_and_amounts_come_from_the_columns_that_a_person_names(
    dashboard: Dashboard, signed_in: BrowserContext, tmp_path: Path
) -> None:
    file = tmp_path / "cards.csv"
    file.write_text("text,day,paid\nBLUE BOTTLE 1,2024-05-01T10:00:00Z,4.5\n")
    page = opened(signed_in, "/uploads")
    page.get_by_label("Time column").fill("day")
    page.get_by_label("Amount column").fill("paid")
    page.set_input_files("input[type=file]", file)
    expect(page.locator("tr", has_text="cards.csv").locator(".tag")).to_have_text("finished")
    engine = open_engine(dashboard.settings.store_url)
    with transaction(engine) as session:
        row = session.execute(text("SELECT occurred_at, amount FROM submissions")).one()
    engine.dispose()
    assert (str(row.occurred_at)[:10], row.amount) == ("2024-05-01", 4.5)


def test_a_page_that_breaks_says_so_under_our_policy(dashboard: Dashboard) -> None:
    engine = open_engine(dashboard.settings.store_url)
    with transaction(engine) as session:
        session.execute(
            text(
                "INSERT INTO models (version, run_id, as_of, status, metrics, reason, trained_at)"
                " VALUES ('1', 'r', 1, 'champion', '{\"accuracy\": \"high\"}', '',"
                " '2024-05-01 10:00:00')"
            )
        )
    engine.dispose()
    with dashboard.client("admin") as client:
        broken = client.get("/ml")
        assert client.get("/healthz").status_code == 200
    assert broken.status_code == 500
    assert "This page is broken, and that is our fault" in broken.text
    assert "default-src 'none'" in broken.headers["content-security-policy"]
