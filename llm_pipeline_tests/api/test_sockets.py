"""The streams as WebSockets, and what each of the three streams tells."""

import json
import threading
from typing import Any

import httpx
import pytest
from sqlalchemy import delete
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from llm_pipeline.api.auth import COOKIE
from llm_pipeline.api.stream import STREAMS
from llm_pipeline.store import credentials, schema
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, headers, wait_for
from llm_pipeline_tests.api.test_stream import MAPPINGS, STREAM, submit

METRICS, STATUS = "/api/ml/stream-metrics", "/api/llm-data/stream-status"


def opened(server: Running, path: str = STREAM, **more: Any) -> ClientConnection:
    url = server.url.replace("http:", "ws:") + path
    socket: ClientConnection = connect(url, **{"additional_headers": headers("viewer"), **more})
    return socket


def events(socket: ClientConnection, number: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for _ in range(100):  # its offset comes too, while nothing happens
        message = json.loads(socket.recv(timeout=10))
        if "name" in message:
            found.append(message)
        if len(found) == number:
            return found
    raise AssertionError(f"{number} events did not come, but {found}")


def test_a_socket_tells_what_a_stream_tells_and_resumes(
    server: Running, client: httpx.Client
) -> None:
    submit(client, "BLUE BOTTLE", "AMAZON")
    with opened(server, f"{STREAM}?after=0") as socket:
        first = events(socket, 3)
    with opened(server, f"{STREAM}?after={first[-1]['offset']}") as socket:
        rest = events(socket, 4)
    assert [event["offset"] for event in first + rest] == list(range(1, 8))
    assert (first[1]["name"], first[1]["text"]) == ("submission:received", "BLUE BOTTLE")


def test_a_socket_without_an_offset_begins_now(server: Running, client: httpx.Client) -> None:
    submit(client, "BEFORE")
    with opened(server) as socket:
        assert json.loads(socket.recv(timeout=10)) == {"offset": 4}
        submit(client, "AFTER")
        assert events(socket, 1)[0]["text"] == "AFTER"


def test_a_socket_tells_its_offset_while_nothing_happens(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pipeline.api.following.CHECK_SECONDS", 0.05)
    with opened(server) as socket:
        assert [json.loads(socket.recv(timeout=10)) for _ in range(3)] == [{"offset": 1}] * 3


@pytest.mark.parametrize("path", STREAMS)
@pytest.mark.parametrize(
    ("sent", "status", "detail"),
    [
        ({}, 401, "sign in"),
        ({"Authorization": "Bearer nobody"}, 401, "sign in"),
        (
            {"Cookie": f"{COOKIE}=cookie", "Origin": "http://elsewhere.example"},
            403,
            "this request came from another site",
        ),
    ],
)
def test_nobody_opens_a_socket_without_signing_in(
    server: Running, session_cookie: str, path: str, sent: dict[str, str], status: int, detail: str
) -> None:
    cookie = {name: value for name, value in sent.items() if name != "Origin"}
    with pytest.raises(InvalidStatus) as refused:
        opened(server, path, additional_headers=cookie, origin=sent.get("Origin"))
    answer = refused.value.response
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.body or b"")["detail"].startswith(detail)
    assert session_cookie == "cookie"


@pytest.mark.parametrize("query", ["after=nowhere", "aftr=1"])
def test_a_socket_at_a_place_that_is_none_is_told_what_is_wrong(
    server: Running, query: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(server, f"{STREAM}?{query}")
    assert refused.value.response.status_code == 422
    [field] = json.loads(refused.value.response.body or b"")["errors"]
    assert field["field"] == f"query.{query.partition('=')[0]}"


def test_a_page_of_ours_opens_a_socket_with_its_session(
    server: Running, session_cookie: str
) -> None:
    sent = {"Cookie": f"{COOKIE}={session_cookie}"}
    with opened(server, additional_headers=sent, origin=server.url) as socket:
        assert json.loads(socket.recv(timeout=10)) == {"offset": 1}


def test_a_revoked_token_ends_its_socket(
    server: Running, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pipeline.api.following.CHECK_SECONDS", 0.05)
    with opened(server) as socket:
        with transaction(engine) as session:
            assert credentials.revoke(session, "viewer", now()) == 1
        for _ in socket:  # it ends by itself
            pass
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)


def test_a_client_that_hangs_up_is_forgotten_at_once(server: Running) -> None:
    def tasks() -> int:
        return sum("_send" in repr(task) for task in server.tasks())

    with opened(server) as socket:
        socket.recv(timeout=10)
        assert tasks() == 1
    wait_for(lambda: tasks() == 0)


def test_each_stream_tells_its_own_events(server: Running, client: httpx.Client) -> None:
    file = {"file": ("shops.csv", b"text,target\nBLUE BOTTLE 12,BLUE\nX,NOBODY\nY,NOBODY\n")}
    upload = client.post("/api/llm-center/uploads", files=file).json()["id"]
    url = f"/api/llm-center/uploads/{upload}"
    wait_for(lambda: client.get(url).json()["status"] == "finished")
    client.post(MAPPINGS, json={"text": "AMAZON"})
    with opened(server, f"{STATUS}?after=0") as socket:
        told = [event["name"] for event in events(socket, 4)]
    assert told == ["upload:started", "gate:checked", "alert:raised", "upload:finished"]
    with opened(server, f"{METRICS}?after=0") as socket:
        assert {event["name"] for event in events(socket, 1)} == {"text:recognized"}


def test_state_and_the_events_after_it_are_the_state_now(
    server: Running, client: httpx.Client
) -> None:
    submit(client, "BLUE BOTTLE 1")
    before = client.get("/api/llm/state").json()
    writer = threading.Thread(target=submit, args=(client, "AMAZON 2", "STARBUCKS 3"))
    writer.start()
    writer.join()
    after = client.get("/api/llm/state").json()
    with opened(server, f"{STREAM}?after={before['offset']}") as socket:
        told = events(socket, after["offset"] - before["offset"])
    assert told[-1]["offset"] == after["offset"]
    received = sum(event["name"] == "submission:received" for event in told)
    assert before["center"]["submissions"] + received == after["center"]["submissions"]
    assert (
        before["center"]["mappings"]["pending"] + received == after["center"]["mappings"]["pending"]
    )


def test_a_socket_at_a_place_that_is_deleted_is_answered_410(
    server: Running, client: httpx.Client, engine: Engine
) -> None:
    submit(client, "BLUE BOTTLE", "AMAZON")
    with transaction(engine) as session:
        session.execute(delete(schema.events).where(schema.events.c.offset <= 3))
    with pytest.raises(InvalidStatus) as refused:
        opened(server, f"{STREAM}?after=1")
    assert refused.value.response.status_code == 410
    assert b"Take GET /api/llm/state" in refused.value.response.body
    with opened(server, f"{STREAM}?after=3") as socket:
        assert [event["offset"] for event in events(socket, 2)] == [4, 5]
