"""Every page by axe-core, light and dark, narrow and wide, with something in each list."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext

from llm_pipeline.dashboard.mount import PAGES
from llm_pipeline_tests.dashboard.conftest import Dashboard, sign_in
from llm_pipeline_tests.dashboard.test_journey import opened

MAPPINGS = "/api/llm-center/mappings"
ROWS = "text,target\nBLUE BOTTLE 7,BLUE\nMOON CAFE,SBUX\nMOON CAFE,BLUE\n,SBUX\n"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
# Pages with something opened in them.
OPEN = ("/center?status=all&mapping=1", "/uploads?upload=1", "/gates?suite=submissions")
LOOKS = [("light", 1280), ("dark", 1280), ("light", 360)]


@pytest.fixture
def filled(dashboard: Dashboard) -> Dashboard:
    with dashboard.client("admin") as admin:
        for text in ("BLUE BOTTLE 1", "UBER TRIP 2"):
            assert admin.post(MAPPINGS, json={"text": text}).status_code == 201
        sent = admin.post("/api/llm-center/uploads", files={"file": ("rows.csv", ROWS)})
        assert sent.status_code == 202
        stop = {"reason": "a look first"}
        assert admin.put("/api/automation/policy", json=stop).is_success
    return dashboard


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def looked(
    filled: Dashboard, browser: Browser, request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    scheme, width = request.param
    with browser.new_context(
        base_url=filled.url, color_scheme=scheme, viewport={"width": width, "height": 900}
    ) as context:
        sign_in(context, filled, "admin")
        yield context


def test_no_page_has_a_violation(looked: BrowserContext) -> None:
    found: set[tuple[str, str, str]] = set()
    for path in (*PAGES, *OPEN):
        page = opened(looked, path)
        results = Axe().run(page, options=RULES)
        for violation in results.response["violations"]:
            found |= {(path, violation["id"], node["html"]) for node in violation["nodes"]}
        page.close()
    assert not found, "\n".join(map(str, sorted(found)))
