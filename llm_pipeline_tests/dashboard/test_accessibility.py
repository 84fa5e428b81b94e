"""Every page by axe-core, light and dark, narrow and wide, with something in its lists."""

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from llm_pipeline.dashboard.mount import PAGES
from llm_pipeline_tests.dashboard.conftest import Dashboard, opened, sign_in

MAPPINGS = "/api/llm-center/mappings"
ROWS = "text,target\nBLUE BOTTLE 7,BLUE\nMOON CAFE,SBUX\nMOON CAFE,BLUE\n,SBUX\n"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
LOOKS: list[tuple[Literal["light", "dark"], int]] = [("light", 1280), ("dark", 360)]
# Pages with something opened in them.
OPEN = ("/center?status=all&mapping=1", "/uploads?upload=1", "/gates?suite=submissions")


def test_no_page_has_a_violation(dashboard: Dashboard, browser: Browser) -> None:
    _fill(dashboard)
    found: set[tuple[str, str, int, str, str]] = set()
    with browser.new_context(base_url=dashboard.url) as context:
        sign_in(context, dashboard, "admin")
        for path in (*PAGES, *OPEN):
            page = opened(context, path)
            for scheme, width in LOOKS:
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                results = Axe().run(page, options=RULES)
                found |= {
                    (path, scheme, width, violation["id"], node["html"])
                    for violation in results.response["violations"]
                    for node in violation["nodes"]
                }
            page.close()
    assert not found, "\n".join(map(str, sorted(found)))


def _fill(dashboard: Dashboard) -> None:
    with dashboard.client("admin") as admin:
        for text in ("BLUE BOTTLE 1", "UBER TRIP 2"):
            assert admin.post(MAPPINGS, json={"text": text}).status_code == 201
        sent = admin.post("/api/llm-center/uploads", files={"file": ("rows.csv", ROWS)})
        assert sent.status_code == 202
        # An address has no place where it may be broken.
        stop = {"stop": True, "reason": f"http://127.0.0.1:1/{'health' * 9} does not answer"}
        assert admin.put("/api/automation/policy", json=stop).is_success
