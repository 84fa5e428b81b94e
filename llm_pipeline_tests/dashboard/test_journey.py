"""The dashboard in a real browser: a file is uploaded, reviewed by keyboard, approved, known."""

from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, expect

from llm_pipeline.dashboard.mount import PAGES
from llm_pipeline_tests.dashboard.conftest import Dashboard, opened, sign_in

FILE = b"""text,target
BLUE BOTTLE 0423 SAN FRAN CA,
BLUE BOTTLE 0917 OAKLAND CA,
AMZN MKTP US*2K4JD8,AMZN
NO SUCH THING,NOBODY
"""


def number(page: Page) -> int:
    return int(page.locator(".stage").nth(1).locator(".big").inner_text().replace(",", ""))


def test_from_a_file_to_an_approved_text_by_keyboard_seen_live_by_another(
    dashboard: Dashboard, signed_in: BrowserContext, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "cards.csv"
    file.write_bytes(FILE)
    with browser.new_context(base_url=dashboard.url) as other:
        sign_in(other, dashboard, "viewer")
        watching = opened(other, "/")
        assert number(watching) == 0

        page = opened(signed_in, "/uploads")
        page.set_input_files("input[type=file]", file)
        row = page.locator("tr", has_text="cards.csv")
        expect(row.locator(".tag")).to_have_text("finished")
        row.get_by_role("link", name="1", exact=True).click()
        expect(page.get_by_text("'NOBODY' is not in the catalogue")).to_be_visible()
        expect(watching.locator(".stage").nth(1).locator(".big")).to_have_text("3")

        page.goto("/review")
        page.wait_for_selector("#boot", state="detached")
        asked = page.locator(".asked")
        for _ in range(3):
            text = asked.inner_text()
            if text.startswith("AMZN"):
                page.keyboard.press("a")
            else:
                page.keyboard.press("c")
                page.get_by_placeholder("key or name of a target").fill("bottle")
                page.get_by_role("button", name="Blue Bottle Coffee").click()
            expect(page.locator(".asked", has_text=text)).to_have_count(0)
            if page.get_by_text("Nothing waits for you").count():
                break
        expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        expect(watching.locator(".stage").nth(1).locator(".big")).to_have_text("0")

        page.keyboard.press("u")
        expect(asked).to_be_visible()
        undone = asked.inner_text()
        page.keyboard.press("c" if undone.startswith("BLUE") else "a")
        if undone.startswith("BLUE"):
            page.get_by_placeholder("key or name of a target").fill("bottle")
            page.keyboard.press("Enter")
        expect(page.get_by_text("Nothing waits for you")).to_be_visible()

    with dashboard.client() as client:
        counts = client.get("/api/llm/state").json()["center"]["mappings"]
        body = {"texts": ["BLUE BOTTLE 0555 BERKELEY CA"]}
        answer = client.post("/api/ml/recognize", json=body).json()["results"][0]
    assert (counts["approved"], counts["pending"]) == (3, 0)
    assert (answer["state"], answer["target"]) == ("matched", "BLUE")


def test_an_empty_desk_fills_when_something_comes(
    dashboard: Dashboard, signed_in: BrowserContext
) -> None:
    page = opened(signed_in, "/review")
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    with dashboard.client() as client:
        client.post("/api/llm-center/mappings", json={"text": "MOON CAFE 7"})
    expect(page.locator(".asked", has_text="MOON CAFE 7")).to_be_visible()


def test_no_page_is_wider_than_the_window_or_says_an_error(
    dashboard: Dashboard, browser: Browser
) -> None:
    said: list[str] = []
    for width in (360, 1280, 1920):
        with browser.new_context(
            base_url=dashboard.url, viewport={"width": width, "height": 900}
        ) as context:
            sign_in(context, dashboard, "admin")
            for path in PAGES:
                page = context.new_page()
                page.on("console", lambda told: said.append(f"{told.type}: {told.text}"))
                page.on("pageerror", lambda error: said.append(str(error)))
                page.goto(path)
                page.wait_for_selector("#boot", state="detached")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{path} is {wide} px too wide at {width}"
                assert page.get_by_role("heading", level=1).count() == 1, path
                page.close()
    assert said == []


def test_a_choice_of_colours_stays(dashboard: Dashboard, signed_in: BrowserContext) -> None:
    page = opened(signed_in, "/")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light or dark").click()
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    again = opened(signed_in, "/center")
    assert before != after
    assert again.evaluate("getComputedStyle(document.body).backgroundColor") == after


def test_everything_that_can_be_used_has_a_name_and_shows_that_it_has_the_focus(
    dashboard: Dashboard, browser: Browser
) -> None:
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "admin")
        for path in PAGES:
            page = opened(context, path)
            nameless = page.evaluate(
                """() => [...document.querySelectorAll('a[href], button, input, select, textarea')]
                .filter((at) => at.type !== 'hidden')
                .filter((at) => !(at.textContent.trim() || at.ariaLabel || at.title
                    || [...(at.labels ?? [])].some((label) => label.textContent.trim())))
                .map((at) => at.outerHTML)"""
            )
            assert nameless == [], path
            page.keyboard.press("Tab")
            ring = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
            assert ring != "none", path
            page.close()
