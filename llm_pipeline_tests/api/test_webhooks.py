"""Webhooks over HTTP: made by admins, told by the running server, tested, listed, removed."""

import time

import httpx
import pytest

from llm_pipeline.steps.alert import raise_alert
from llm_pipeline.store.engine import Engine, transaction
from llm_pipeline.wiring import now
from llm_pipeline_tests.api.live_server import Running, wait_for
from llm_pipeline_tests.receivers import receiving

WEBHOOKS = "/api/llm-data/webhooks"


def add(client: httpx.Client, url: str, *events: str) -> dict[str, object]:
    answer = client.post(WEBHOOKS, json={"url": url, "events": events})
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def alert(engine: Engine, subject: str) -> None:
    with transaction(engine) as session:
        raise_alert(session, "disk_full", subject, "critical", "1 GiB free", "test", now())


def test_a_raised_alert_arrives_within_seconds(client: httpx.Client, engine: Engine) -> None:
    with receiving() as receiver:
        made = add(client, receiver.url)
        alert(engine, "store")
        began = time.monotonic()
        wait_for(lambda: bool(receiver.messages))
        assert time.monotonic() - began < 3
        wait_for(lambda: client.get(WEBHOOKS).json()["items"][0]["deliveries"]["delivered"] == 1)
        [sent] = client.get(f"{WEBHOOKS}/1/deliveries").json()["items"]
    assert receiver.verified(str(made["secret"]))
    assert (sent["status"], sent["answer"], sent["attempts"]) == ("delivered", 200, 1)
    assert sent["message_id"] == receiver.ids()[0]


def test_the_secret_is_shown_once(client: httpx.Client) -> None:
    made = add(client, "http://127.0.0.1:9/", "gate:checked")
    assert str(made["secret"]).startswith("whsec_")
    assert len(str(made["secret"])) == 50
    [listed] = client.get(WEBHOOKS).json()["items"]
    assert "secret" not in listed
    assert listed["events"] == ["gate:checked"]
    assert "whsec" not in client.get("/api/llm-data/events").text


def test_a_test_arrives_and_a_redirect_is_told_as_one(client: httpx.Client) -> None:
    with receiving(302) as receiver:
        add(client, receiver.url)
        offset = client.post(f"{WEBHOOKS}/1/test").json()["offset"]
        path = f"{WEBHOOKS}/1/deliveries"
        wait_for(lambda: any(one["error"] for one in client.get(path).json()["items"]))
        [sent] = client.get(path).json()["items"]
        assert len(receiver.messages) == 1
    assert (sent["offset"], sent["status"], sent["answer"]) == (offset, "pending", 302)
    assert sent["error"] == "answered 302; redirects are not followed"


def test_a_receiver_that_hangs_keeps_nobody_waiting_and_not_the_server_up(
    server: Running, client: httpx.Client, engine: Engine
) -> None:
    with receiving() as hanging, receiving() as quick:
        hanging.before_answer = lambda: time.sleep(4)
        add(client, hanging.url)
        add(client, quick.url)
        alert(engine, "one")
        wait_for(lambda: bool(hanging.messages) and bool(quick.messages))
        alert(engine, "two")
        began = time.monotonic()
        wait_for(lambda: len(quick.messages) == 2)
        assert time.monotonic() - began < 2
        assert len(hanging.messages) == 1
        server.app.state.services.webhooks.stop()
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://93.184.215.14/", "is not https"),
        ("https://192.168.0.1/", "no public address"),
        ("https://169.254.169.254/latest/meta-data", "no public address"),
        ("file:///etc/passwd", "it is written https://HOST/PATH"),
    ],
)
def test_an_address_that_may_not_be_told_is_refused(
    client: httpx.Client, url: str, told: str
) -> None:
    answer = client.post(WEBHOOKS, json={"url": url})
    assert answer.status_code == 422
    assert told in answer.json()["detail"]
    assert client.get(WEBHOOKS).json()["items"] == []


def test_a_removed_webhook_is_gone(client: httpx.Client) -> None:
    add(client, "http://127.0.0.1:9/")
    assert client.delete(f"{WEBHOOKS}/1").status_code == 204
    for answer in (
        client.delete(f"{WEBHOOKS}/1"),
        client.post(f"{WEBHOOKS}/1/test"),
        client.get(f"{WEBHOOKS}/1/deliveries"),
    ):
        assert answer.status_code == 404
        assert "there is no webhook 1" in answer.json()["detail"]
