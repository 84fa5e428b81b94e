"""Who may do what, for every route there is; signing in and out."""

import json
import re
from datetime import timedelta

import httpx
import pytest

from llm_pipeline.api.auth import COOKIE, roles
from llm_pipeline.domain.records import Role
from llm_pipeline.store import credentials
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, headers

PUBLIC = {"/healthz", "/readyz"}
MAPPINGS = "/api/llm-center/mappings"


def test_every_route_of_the_api_needs_a_role(server: Running) -> None:
    guarded = {path for _, path in roles(server.app)}
    assert guarded | PUBLIC == set(server.app.openapi()["paths"])


def test_every_route_lets_its_role_pass_and_no_other(server: Running) -> None:
    with server.client(None) as client:
        for (method, path), needed in roles(server.app).items():
            url = re.sub(r"{\w+}", "999", path)
            stranger = client.request(method, url)
            assert stranger.status_code == 401, path
            assert stranger.headers["www-authenticate"] == "Bearer"
            for role in Role:
                # Streams never end by themselves: the status is all that is read.
                with client.stream(method, url, headers=headers(role.value)) as answer:
                    passes = answer.status_code not in (401, 403)
                    assert passes == role.reaches(needed), (method, path, role)
                    if not passes:
                        assert needed.value in json.loads(answer.read())["detail"]


def test_a_route_tells_its_role_and_its_summary(server: Running) -> None:
    for path, methods in server.app.openapi()["paths"].items():
        for operation in methods.values():
            assert operation["summary"]
            assert path in PUBLIC or operation["x-role"] in set(Role)


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer nobody", "Basic YTpi"])
def test_refuses_a_token_it_does_not_know(server: Running, value: str) -> None:
    with server.client(None) as client:
        answer = client.get(MAPPINGS, headers={"Authorization": value})
        assert answer.status_code == 401


def _link(engine: Engine, code: str, lasts: timedelta) -> None:
    with transaction(engine) as session:
        identity = credentials.Identity("ann", Role.REVIEWER)
        credentials.add(session, "link", code, identity, now(), now() + lasts)


def test_a_link_signs_in_once(server: Running, engine: Engine) -> None:
    _link(engine, "abc", timedelta(minutes=5))
    with server.client(None) as browser:
        answer = browser.get("/signin", params={"code": "abc"})
        assert answer.status_code == 200
        assert 'content="0; url=/"' in answer.text
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "max-age=43200" in cookie
        assert browser.get(MAPPINGS).status_code == 200
    with server.client(None) as other:
        spent = other.get("/signin", params={"code": "abc"})
        assert spent.status_code == 403
        assert "llm-pipeline users link" in spent.text
        assert other.get(MAPPINGS).status_code == 401


@pytest.mark.parametrize("code", ["", "wrong", "old", "<script>", "é" * 400])
def test_a_link_that_is_not_valid_signs_nobody_in(
    server: Running, engine: Engine, code: str
) -> None:
    _link(engine, "old", timedelta(minutes=-5))
    with server.client(None) as browser:
        answer = browser.get("/signin", params={"code": code})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert "<script>" not in answer.text


def test_signing_out_ends_the_session(server: Running, session_cookie: str) -> None:
    with server.client(None) as browser:
        browser.cookies.set(COOKIE, session_cookie)
        assert browser.get(MAPPINGS).status_code == 200
        assert browser.post("/signout").status_code == 303
        browser.cookies.set(COOKIE, session_cookie)
        assert browser.get(MAPPINGS).status_code == 401
        browser.cookies.clear()
        assert browser.post("/signout").status_code == 303


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 201),
    ],
)
def test_another_site_cannot_use_the_cookie(
    server: Running, session_cookie: str, sent: dict[str, str], status: int
) -> None:
    with server.client(None) as browser:
        browser.cookies.set(COOKIE, session_cookie)
        answer = browser.post(MAPPINGS, json={"text": "a"}, headers=sent)
        assert answer.status_code == status
        assert browser.get(MAPPINGS, headers=sent).status_code == 200


def test_a_token_is_no_cookie_and_needs_no_origin(client: httpx.Client) -> None:
    sent = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert client.post(MAPPINGS, json={"text": "a"}, headers=sent).status_code == 201
