"""The pages: hardened headers, no foreign addresses, everything there offline."""

import re

import httpx

from llm_pipeline.api.auth import COOKIE
from llm_pipeline.dashboard.pages import rendered
from llm_pipeline.domain.events import EVENTS
from llm_pipeline_tests.api.live_server import Running


def test_pages_allow_nothing_but_themselves(server: Running, session_cookie: str) -> None:
    with server.client(None) as browser:
        browser.cookies.set(COOKIE, session_cookie)
        for path in ("/", "/docs", "/signin"):
            answer = browser.get(path)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert not re.search(r"(src|@import|url\()\s*=?\s*[\"']?https?:", answer.text)
            assert " style=" not in answer.text
            assert " onclick" not in answer.text


def test_the_dashboard_links_and_listens_to_everything(
    server: Running, session_cookie: str
) -> None:
    with server.client(None) as browser:
        browser.cookies.set(COOKIE, session_cookie)
        text = browser.get("/").text
    assert 'href="http://127.0.0.1:3000"' in text
    assert 'href="http://127.0.0.1:5000"' in text
    assert all(name in text for name in EVENTS)
    assert "innerHTML" not in text
    assert "{{" not in text
    assert len(text) < 40_000


def test_values_of_a_page_are_escaped() -> None:
    page = rendered("notice.html", title="<script>", message='"&')
    assert "<script>" not in page.html
    assert "&lt;script&gt;" in page.html


def test_the_reference_names_every_route(server: Running, client: httpx.Client) -> None:
    text = client.get("/docs").text
    for path in server.app.openapi()["paths"]:
        assert f"<code>{path}</code>" in text
    assert "<i>reviewer</i>" in text
