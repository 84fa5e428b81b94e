"""Every kind of error has one shape and its own status."""

import errno
import logging
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from llm_pipeline import errors
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


def _add_failing_routes(app: FastAPI) -> None:
    def failing(kind: str) -> None:
        raise RAISED[kind][0]

    app.add_api_route("/fail/{kind}", failing)


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
            answer = client.get(f"/fail/{kind}", headers={"Connection": "close"})
            assert _is_problem(answer, status), kind
        assert client.get("/fail/unknown").headers["www-authenticate"] == "Bearer"
        assert client.get("/fail/database").headers["retry-after"] == "1"


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
