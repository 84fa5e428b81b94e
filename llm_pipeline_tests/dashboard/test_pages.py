"""Every page as the server sends it: signed in only, hardened, with numbers from the store."""

import re
from html import unescape

import pytest

from llm_pipeline.dashboard.mount import PAGES
from llm_pipeline_tests.api.live_server import headers
from llm_pipeline_tests.dashboard.conftest import Dashboard

MAPPINGS = "/api/llm-center/mappings"


def test_every_page_is_there_for_whoever_is_signed_in_and_for_nobody_else(
    dashboard: Dashboard,
) -> None:
    hostile = '<img src="//x.example/a.png" onerror="alert(1)">'
    with dashboard.client("admin") as admin:
        sent = admin.post(MAPPINGS, json={"text": f"SHOP {hostile}", "target": "SBUX"})
        assert sent.status_code == 201
        assert "SHOP &lt;img" in admin.get("/center").text
        for path, (title, _) in PAGES.items():
            admin.cookies.clear()
            refused = admin.get(path)
            assert refused.status_code == 401, path
            assert "llm-pipeline users link" in refused.text
            admin.cookies.set("llm_pipeline_session", "admin-session")
            answer = admin.get(path)
            assert answer.status_code == 200, path
            assert f"<title>{title} · llm_pipeline</title>" in answer.text
            assert "<img" not in answer.text, path
            assert "<img" not in unescape(elements(answer.text)), path
            policy = answer.headers["content-security-policy"]
            scripts = re.search(r"script-src ([^;]*)", policy)
            assert scripts is not None
            assert "'unsafe-inline'" not in scripts[1]
            assert "default-src 'none'" in policy
            assert not re.search(r"(src|href)=[\"'](https?:)?//(?!127\.0\.0\.1)", answer.text), path


def elements(html: str) -> str:
    """The part of a page that NiceGUI escapes once more, and a browser unescapes."""
    found = re.search(r"parseElements\(String.raw`(.*?)`\)", html, re.DOTALL)
    assert found is not None
    return found[1]


def test_a_page_shows_what_is_in_the_store(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        for text in ("BLUE BOTTLE 1", "AMAZON 2"):
            assert client.post(MAPPINGS, json={"text": text}).status_code == 201
        overview, center = client.get("/").text, client.get("/center?q=bottle").text
    assert re.search(r'class="big"><a href="/center\?status=pending">2</a>', overview)
    assert "BLUE BOTTLE 1" in center
    assert "AMAZON 2" not in center


def test_what_the_dashboard_has_not_is_the_api_s_own_error(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        lost, wrong = client.get("/nowhere"), client.delete(MAPPINGS)
    assert lost.status_code == 404
    assert lost.headers["content-type"] == "application/problem+json"
    assert wrong.status_code == 405


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null"])
def test_another_site_cannot_open_the_pages_socket(dashboard: Dashboard, origin: str) -> None:
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
    with dashboard.client() as client:
        foreign = client.get(path, headers={"Origin": origin})
        own = client.get(path, headers={"Origin": dashboard.url})
    assert (foreign.status_code, own.status_code) == (400, 200)


@pytest.mark.parametrize(
    "path",
    [
        "/center?sort=nothing&status=nothing&source=x&upload=-1&mapping=99999999999999999999",
        "/uploads?upload=99999999999999999999",
        f"/center?mapping={'1' * 5000}",
        "/plans?plan=999",
        "/events?at=99999999999999999999",
        f"/events?at={'1' * 5000}",
        "/gates?suite=%00",
        "/gates?suite=submissions&result=99999999999999999999&rows=nonsense",
        "/center?q=%00%22",
        "/work?days=x",
    ],
)
def test_an_address_that_makes_no_sense_is_still_a_page(dashboard: Dashboard, path: str) -> None:
    with dashboard.client() as client:
        assert client.get(path).status_code == 200


def test_a_page_that_cannot_be_built_says_why_and_what_to_do(dashboard: Dashboard) -> None:
    with dashboard.client() as client:
        answer = client.get("/center?sort=rows&cursor=nonsense")
        broken = client.get("/center?cursor=nonsense")
    assert (answer.status_code, broken.status_code) == (422, 422)
    assert "pass `next_cursor` of the page before unchanged" in broken.text
    assert "unsafe" not in broken.headers["content-security-policy"]


def test_a_viewer_is_told_that_reviewing_needs_another_role(dashboard: Dashboard) -> None:
    with dashboard.client("viewer") as viewer:
        assert "needs the role reviewer" in viewer.get("/review").text
        assert viewer.get("/api/llm/state", headers=headers("viewer")).status_code == 200
