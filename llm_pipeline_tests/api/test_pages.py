"""The pages beside the dashboard: hardened headers, no foreign addresses, all there offline."""

import re

import httpx

from llm_pipeline.api.notices import rendered
from llm_pipeline_tests.api.live_server import Running


def test_pages_allow_nothing_but_themselves(server: Running) -> None:
    with server.client(None) as browser:
        for path in ("/docs", "/signin"):
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


def test_values_of_a_page_are_escaped() -> None:
    page = rendered("notice.html", title="<script>", message='"&')
    assert "<script>" not in page.html
    assert "&lt;script&gt;" in page.html


def test_the_reference_names_every_route(server: Running, client: httpx.Client) -> None:
    text = client.get("/docs").text
    for path in server.app.openapi()["paths"]:
        assert f"<code>{path}</code>" in text
    assert "<i>reviewer</i>" in text
