"""The stream of events: nothing lost, nothing twice, and an end at shutdown."""

import json
import threading
import time
from typing import Any

import httpx
import pytest
from sqlalchemy import delete

from llm_pipeline.api.stream import STREAMS
from llm_pipeline.config import Settings
from llm_pipeline.store import credentials, schema
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, running

STREAM = "/api/llm/stream-updates"
MAPPINGS = "/api/llm-center/mappings"


def read(client: httpx.Client, number: int, **how: Any) -> list[dict[str, Any]]:
    """Read a number of events, then hang up."""
    events: list[dict[str, Any]] = []
    with client.stream("GET", STREAM, **how) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in ("id", "event", "data"):
                event[name] = value
            elif not line and event:
                events.append(event)
                event = {}
                if len(events) == number:
                    break
    return events


def submit(client: httpx.Client, *texts: str) -> None:
    for text in texts:
        assert client.post(MAPPINGS, json={"text": text}).status_code == 201


def test_an_event_carries_its_offset_its_name_and_its_facts(client: httpx.Client) -> None:
    submit(client, "BLUE BOTTLE")
    first, second = read(client, 2, params={"after": 0})
    assert (first["id"], first["event"]) == ("1", "catalogue:loaded")
    facts = json.loads(second["data"])
    assert (facts["offset"], facts["name"]) == (2, "submission:received")
    assert (facts["actor"], facts["text"]) == ("admin", "BLUE BOTTLE")


def test_a_resumed_stream_loses_nothing_and_repeats_nothing(client: httpx.Client) -> None:
    submit(client, *(f"SHOP {letter}" for letter in "ABCD"))
    first = read(client, 5, params={"after": 0})
    rest = read(client, 8, headers={"Last-Event-ID": first[-1]["id"]}, params={"after": 0})
    assert [int(event["id"]) for event in first + rest] == list(range(1, 14))


def test_without_an_offset_a_stream_begins_now(server: Running, client: httpx.Client) -> None:
    submit(client, "BEFORE")
    with client.stream("GET", STREAM) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith(": after offset 4")
        with server.client() as other:
            submit(other, "AFTER")
        data = next(line for line in lines if line.startswith("data: "))
        assert json.loads(data[6:])["text"] == "AFTER"


def test_many_streams_see_the_same_events_while_they_happen(server: Running) -> None:
    seen: list[list[int]] = []

    def follow() -> None:
        with server.client("viewer") as client:
            events = read(client, 31, params={"after": 0})
            seen.append([int(event["id"]) for event in events])

    followers = [threading.Thread(target=follow) for _ in range(10)]
    for follower in followers:
        follower.start()
    with server.client() as client:
        submit(client, *(f"SHOP {number:x}abcdef" for number in range(10)))
    for follower in followers:
        follower.join()
    assert seen == [list(range(1, 32))] * 10


def test_refuses_an_offset_that_is_none(client: httpx.Client) -> None:
    assert client.get(STREAM, params={"after": -1}).status_code == 422


@pytest.mark.parametrize(("last", "begins"), [("x", 2), ("", 2), ("99999999999999999999", 4)])
def test_an_unusable_last_event_id_does_not_end_an_event_source(
    client: httpx.Client, last: str, begins: int
) -> None:
    submit(client, "BLUE BOTTLE")
    headers = {"Last-Event-ID": last}
    with client.stream("GET", STREAM, headers=headers, params={"after": 2}) as answer:
        first = next(answer.iter_lines())
    assert first.startswith(f": after offset {begins}")


def test_a_revoked_token_ends_its_streams(
    server: Running, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_pipeline.api.following.CHECK_SECONDS", 0.1)
    with server.client("viewer") as client, client.stream("GET", STREAM) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith(": after offset")
        with transaction(engine) as session:
            assert credentials.revoke(session, "viewer", now()) == 1
        assert [line for line in lines if line.startswith("data")] == []


def test_an_open_stream_ends_when_the_server_stops(settings: Settings, engine: Engine) -> None:
    ended = threading.Event()
    opened = threading.Event()

    def follow(client: httpx.Client) -> None:
        with client.stream("GET", STREAM) as answer:
            opened.set()
            for _ in answer.iter_lines():
                pass
        ended.set()

    with running(settings) as server:
        client = server.client()
        threading.Thread(target=follow, args=(client,)).start()
        opened.wait(5)
        stopping = time.monotonic()
    assert ended.wait(5)
    assert time.monotonic() - stopping < 2
    client.close()


def test_a_place_that_is_deleted_is_gone_and_says_where_to_go_on(
    client: httpx.Client, engine: Engine
) -> None:
    submit(client, "BLUE BOTTLE", "AMAZON")
    with transaction(engine) as session:
        session.execute(delete(schema.events).where(schema.events.c.offset <= 3))
    for path in STREAMS:
        for how in ({"params": {"after": 2}}, {"headers": {"Last-Event-ID": "0"}}):
            answer = client.get(path, **how)
            assert answer.status_code == 410
            assert answer.headers["content-type"] == "application/problem+json"
            assert "to 3 are deleted. Take GET /api/llm/state" in answer.json()["detail"]
    assert [event["id"] for event in read(client, 2, params={"after": 3})] == ["4", "5"]
    listed = client.get("/api/llm-data/events").json()
    assert listed["total"] == len(listed["items"])
