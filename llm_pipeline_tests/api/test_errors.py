"""Every kind of error has one shape and its own status."""

import asyncio
import errno
import json
import logging
from collections.abc import Iterator, MutableMapping
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import OperationalError

from llm_pipeline import errors
from llm_pipeline.api import errors as errors_of_api
from llm_pipeline.config import Settings
from llm_pipeline.store.engine import Engine
from llm_pipeline_tests.api.live_server import Running, running

RAISED: dict[str, tuple[Exception, int]] = {
    "invalid": (errors.InvalidInput("bad"), 422),
    "target": (errors.UnknownTarget("\ud800<b>"), 422),
    "missing": (errors.NotFound("no"), 404),
    "conflict": (errors.Conflict("late"), 409),
    "forbidden": (errors.NotAllowed("no"), 403),
    "unknown": (errors.NotSignedIn("who"), 401),
    "gate": (errors.GateFailed("shut"), 409),
    "nothing": (errors.NothingToLearn("none"), 409),
    "model": (errors.ModelUnavailable("gone"), 503),
    "setup": (errors.SetupError("port"), 500),
    "disk": (OSError(errno.ENOSPC, "full"), 507),
    "file": (OSError(errno.EIO, "broken"), 500),
    "database": (OperationalError("SELECT secret", {}, Exception("database is locked")), 503),
    "bug": (ZeroDivisionError("secret"), 500),
}
UNFORESEEN = {"file", "bug"}


def _add_failing_routes(app: FastAPI) -> None:
    def failing(kind: str) -> None:
        raise RAISED[kind][0]

    def broken_off() -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            yield b"half of it"
            raise RAISED["bug"][0]

        return StreamingResponse(pieces())

    app.add_api_route("/fail/{kind}", failing)
    app.add_api_route("/break-off", broken_off)


@pytest.fixture
def failing(settings: Settings, engine: Engine) -> Iterator[Running]:
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    with running(settings, _add_failing_routes) as server:
        yield server


def _is_problem(answer: httpx.Response, status: int) -> bool:
    body = answer.json()
    return (
        answer.status_code == body["status"] == status
        and answer.headers["content-type"] == "application/problem+json"
        and body.keys() == {"type", "title", "status", "detail", "errors"}
        and "Traceback" not in answer.text
        and "secret" not in answer.text
    )


def test_every_error_is_a_problem(failing: Running) -> None:
    with failing.client() as client:
        for kind, (_, status) in RAISED.items():
            answer = client.get(f"/fail/{kind}")
            assert _is_problem(answer, status), kind
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/fail/unknown").headers["www-authenticate"] == "Bearer"
        assert client.get("/fail/database").headers["retry-after"] == "1"


def test_the_connection_outlives_an_error_nobody_foresaw(failing: Running) -> None:
    connection = HTTPConnection(failing.url.removeprefix("http://"))
    sockets = []
    for path in ("/fail/bug", "/fail/file", "/healthz"):
        connection.request("GET", path)
        sockets.append(connection.sock)
        answer = connection.getresponse()
        answer.read()
        assert not answer.will_close
    assert (answer.status, len(set(sockets))) == (200, 1)
    connection.close()


def test_no_error_reaches_the_server_but_one_amid_an_answer() -> None:
    app = FastAPI()
    _add_failing_routes(app)
    errors_of_api.install(app)

    async def get(path: str) -> httpx.Response:
        asgi = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=asgi, base_url="http://test") as client:
            return await client.get(path)

    assert _is_problem(asyncio.run(get("/fail/bug")), 500)
    with pytest.raises(RuntimeError, match="already started"):
        asyncio.run(get("/break-off"))


def _socket(app: FastAPI, path: str) -> list[dict[str, Any]]:
    """Return what an application sends to a WebSocket that is opened at a path."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [],
        "extensions": {"websocket.http.response": {}},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(dict(message))

    asyncio.run(app(scope, receive, send))
    return sent


@pytest.fixture
def sockets() -> FastAPI:
    app = FastAPI()

    async def refusing(websocket: WebSocket, kind: str) -> None:
        raise RAISED[kind][0]

    async def breaking(websocket: WebSocket, kind: str) -> None:
        await websocket.accept()
        raise RAISED[kind][0]

    app.add_api_websocket_route("/refuse/{kind}", refusing)
    app.add_api_websocket_route("/break/{kind}", breaking)
    errors_of_api.install(app)
    return app


@pytest.mark.parametrize("kind", sorted(RAISED.keys() - UNFORESEEN))
def test_a_websocket_is_refused_once_and_told_why(sockets: FastAPI, kind: str) -> None:
    start, body = _socket(sockets, f"/refuse/{kind}")
    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == RAISED[kind][1] == json.loads(body["body"])["status"]


def test_a_websocket_that_is_open_is_closed_by_an_error(sockets: FastAPI) -> None:
    accepted, closed = _socket(sockets, "/break/database")
    assert accepted["type"] == "websocket.accept"
    assert (closed["type"], closed["code"]) == ("websocket.close", 1011)


@pytest.mark.parametrize("kind", sorted(UNFORESEEN))
@pytest.mark.parametrize("path", ["/refuse", "/break"])
def test_what_nobody_foresaw_on_a_websocket_is_the_servers(
    sockets: FastAPI, path: str, kind: str
) -> None:
    with pytest.raises(type(RAISED[kind][0])):
        _socket(sockets, f"{path}/{kind}")


def test_what_is_not_there_is_a_problem(client: httpx.Client) -> None:
    assert _is_problem(client.get("/nowhere"), 404)
    answer = client.delete("/api/llm-center/mappings")
    assert _is_problem(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("content", ["{", '{"text": }', "\xff", "[]", "null", '{"txt": 1}'])
def test_a_body_that_is_not_what_was_asked_for_is_a_problem(
    client: httpx.Client, content: str
) -> None:
    answer = client.post(
        "/api/llm-center/mappings",
        content=content.encode("latin-1"),
        headers={"Content-Type": "application/json"},
    )
    assert _is_problem(answer, 400 if content == "\xff" else 422)


def test_a_field_that_is_wrong_is_named(client: httpx.Client) -> None:
    answer = client.post("/api/ml/recognize", json={"texts": ["a", "b" * 2001], "top_k": 0})
    assert [one["field"] for one in answer.json()["errors"]] == ["body.texts.1", "body.top_k"]


def test_a_body_of_10_mb_is_answered_and_one_of_40_refused(client: httpx.Client) -> None:
    assert _is_problem(client.post("/api/ml/recognize", json={"texts": ["x" * 10_000_000]}), 422)
    too_long = client.post("/api/ml/recognize", content=b"x" * 40 * 2**20)
    assert _is_problem(too_long, 413)


def test_a_long_body_without_a_length_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/ml/recognize", content=(b"x" * 2**20 for _ in range(40)))
    assert _is_problem(answer, 413)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("mappings?stauts=pending", {"query.stauts": "did you mean 'status'?"}),
        ("mappings?limit=1&Q=x&upload_id=3", {"query.Q": "q", "query.upload_id": "'upload'?"}),
        ("export?form=csv", {"query.form": "'format'?"}),
        ("analytics?day=3", {"query.day": "'days'?"}),
        ("queue?sort=oldest", {"query.sort": "order, conflicts, target"}),
        ("targets?page=2", {"query.page": "there is q, limit, cursor"}),
        ("uploads/1?q=a", {"query.q": "there is none here"}),
    ],
)
def test_a_parameter_that_nobody_reads_is_refused(
    client: httpx.Client, path: str, told: dict[str, str]
) -> None:
    answer = client.get(f"/api/llm-center/{path}")
    assert _is_problem(answer, 422)
    found = {one["field"]: one["message"] for one in answer.json()["errors"]}
    assert found.keys() == told.keys()
    assert all(part in found[field] for field, part in told.items())


def test_who_is_not_signed_in_is_told_that_first(server: Running) -> None:
    with server.client(None) as client:
        assert _is_problem(client.get("/api/llm-center/mappings?stauts=pending"), 401)
