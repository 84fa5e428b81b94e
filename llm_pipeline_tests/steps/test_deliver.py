"""Webhooks told by real servers on loopback: once each, again after a failure, given up in time."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest

from llm_pipeline.domain.webhooks import WAITS
from llm_pipeline.errors import Conflict, InvalidInput, NotFound
from llm_pipeline.posting import Outcome, destination, post
from llm_pipeline.steps.alert import raise_alert, resolve_alert
from llm_pipeline.steps.deliver import ACTOR, ATTEMPT, attempt, hand_out, take
from llm_pipeline.steps.subscribe import MOST_WEBHOOKS, ask_for_test, subscribe, unsubscribe
from llm_pipeline.store import alerts, log, webhooks
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.receivers import receiving


@pytest.fixture
def new_id() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"msg_{next(numbers)}"


def made(database: Database, clock: Clock, url: str, *events: str) -> tuple[webhooks.Webhook, str]:
    with database.begin() as session:
        return subscribe(session, url, events, os.urandom, "ann", clock())


def alert(database: Database, clock: Clock, subject: str = "training_set") -> None:
    with database.begin() as session:
        raise_alert(session, "gate_failed", subject, "critical", "5 rows", "ann", clock())


def work(database: Database, clock: Clock, new_id: Callable[[], str]) -> list[Outcome]:
    """Hand out what is new and attempt what is due, until nothing is."""
    with database.begin() as session:
        hand_out(session, new_id, clock())
    outcomes: list[Outcome] = []
    while True:
        with database.begin() as session:
            found = take(session, (), 10, clock())
        if not found:
            return outcomes
        outcomes += [attempt(database, one, destination, post, clock) for one in found]


def deliveries(database: Database, webhook_id: int = 1) -> list[tuple[str, int, int | None]]:
    with database.read() as session:
        found = webhooks.deliveries(session, webhook_id, None, 100)
    return [(one.status, one.attempts, one.answer) for one in found]


def test_tells_of_what_was_chosen_once_and_signed(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    alert(database, clock, "before")
    with receiving() as receiver:
        webhook, secret = made(database, clock, receiver.url)
        alert(database, clock)
        with database.begin() as session:
            resolve_alert(session, "gate_failed", "training_set", "ann", clock())
        assert all(outcome.arrived for outcome in work(database, clock, new_id))
        assert work(database, clock, new_id) == []
    assert webhook.events == ["alert:raised", "alert:resolved", "alert:acknowledged"]
    first, second = receiver.told()
    assert (first["type"], second["type"]) == ("alert.raised", "alert.resolved")
    assert first["data"]["message"] == "5 rows"
    assert first["data"]["alert_id"] == second["data"]["alert_id"] == 2
    assert receiver.verified(secret)
    assert not receiver.verified("whsec_" + "A" * 32)
    assert len(set(receiver.ids())) == 2
    assert deliveries(database) == [("delivered", 1, 200)] * 2


def test_a_receiver_that_fails_twice_gets_the_event_once(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving(500, 503) as receiver:
        made(database, clock, receiver.url)
        alert(database, clock)
        assert len(work(database, clock, new_id)) == 1
        for wait in WAITS[:2]:
            clock.time += wait - timedelta(seconds=5)
            assert deliveries(database)[0][0] == "pending"
            clock.time += timedelta(seconds=5)
            work(database, clock, new_id)
        clock.time += timedelta(days=30)
        assert work(database, clock, new_id) == []
    # Twice refused, once taken, always as the same message.
    assert receiver.ids() == ["msg_1"] * 3
    assert deliveries(database) == [("delivered", 3, 200)]


def test_nothing_is_sent_before_its_time(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving(500) as receiver:
        made(database, clock, receiver.url)
        alert(database, clock)
        work(database, clock, new_id)
        assert work(database, clock, new_id) == []
        assert len(receiver.messages) == 1


def test_gives_up_after_days_and_tells_a_person_until_it_works_again(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    attempts = len(WAITS) + 1
    with receiving(*[500] * attempts) as receiver:
        made(database, clock, receiver.url, "gate:checked", "alert:raised")
        alert(database, clock)
        began = clock.time
        work(database, clock, new_id)
        for wait in WAITS:
            clock.time += wait
            work(database, clock, new_id)
        assert timedelta(days=3) < clock.time - began < timedelta(days=4)
        with database.read() as session:
            [found] = [one for one in alerts.open_alerts(session) if one.rule == "webhook_failed"]
        assert found.subject == "webhook 1"
        assert f"in {attempts} attempts, the last one: answered 500" in found.message
        # The alert is an event of its own: its message gets through, and resolves it.
        work(database, clock, new_id)
    assert receiver.ids() == ["msg_1"] * attempts + ["msg_2"]
    assert deliveries(database) == [("delivered", 1, 200), ("given_up", attempts, 500)]
    with database.read() as session:
        assert [one.rule for one in alerts.open_alerts(session)] == ["gate_failed"]


def test_a_receiver_that_is_gone_is_told_nothing_more(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving(410) as receiver:
        made(database, clock, receiver.url)
        alert(database, clock)
        alert(database, clock, "another")
        work(database, clock, new_id)
        work(database, clock, new_id)
    assert len(receiver.messages) == 1
    assert [status for status, _, _ in deliveries(database)] == ["given_up", "given_up"]
    with database.read() as session:
        assert log.newest(session, 1, names=["webhook:removed"])[0].actor == ACTOR
        assert webhooks.get(session, 1).disabled_at is not None
        assert "answered 410" in alerts.open_alerts(session)[0].message
    with database.begin() as session, pytest.raises(Conflict, match="is disabled"):
        ask_for_test(session, 1, "ann", clock())


def test_an_address_that_is_refused_by_now_is_not_told(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    made(database, clock, "https://10.0.0.1/")
    alert(database, clock)
    [outcome] = work(database, clock, new_id)
    assert "no public address" in outcome.error
    assert deliveries(database) == [("pending", 1, None)]


def test_one_that_hangs_is_no_hindrance_to_others(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving() as slow, receiving() as quick:
        made(database, clock, slow.url)
        made(database, clock, quick.url)
        alert(database, clock)
        alert(database, clock, "another")
        with database.begin() as session:
            hand_out(session, new_id, clock())
            both = take(session, (), 10, clock())
            rest = take(session, {1}, 10, clock())
    assert [one.webhook_id for one in both] == [1, 2]
    assert [(one.webhook_id, one.event.offset) for one in rest] == [(2, both[1].event.offset + 1)]


def test_a_test_goes_to_the_one_webhook_that_it_is_of(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving() as one, receiving() as other:
        made(database, clock, one.url)
        made(database, clock, other.url)
        with database.begin() as session:
            offset = ask_for_test(session, 2, "ann", clock())
        work(database, clock, new_id)
    assert one.messages == []
    [told] = other.told()
    assert (told["type"], told["data"]["offset"]) == ("webhook.tested", offset)


SENDS = """
import sys
from llm_pipeline.posting import destination, post
from llm_pipeline.steps.deliver import attempt, hand_out, take
from llm_pipeline.store.engine import Database, open_engine
from llm_pipeline_tests.conftest import Clock
database, clock = Database(open_engine(sys.argv[1])), Clock()
with database.begin() as session:
    hand_out(session, lambda: "msg_1", clock())
    due = take(session, (), 1, clock())[0]
attempt(database, due, destination, post, clock)
"""


def test_a_process_that_ends_between_sending_and_recording_sends_the_same_message_again(
    database: Database, store_url: str, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving() as receiver:
        made(database, clock, receiver.url)
        alert(database, clock)
        process = subprocess.Popen([sys.executable, "-c", SENDS, store_url])
        receiver.before_answer = process.kill
        assert process.wait(timeout=60) == -signal.SIGKILL
        assert deliveries(database) == [("pending", 1, None)]
        receiver.before_answer = lambda: None
        assert work(database, clock, new_id) == []  # somebody may still be sending it
        clock.time += ATTEMPT
        assert len(work(database, clock, new_id)) == 1
    assert receiver.ids() == ["msg_1", "msg_1"]
    assert receiver.messages[0][1] == receiver.messages[1][1]
    assert deliveries(database) == [("delivered", 2, 200)]


def test_a_removed_webhook_leaves_nothing_behind(
    database: Database, clock: Clock, new_id: Callable[[], str]
) -> None:
    with receiving() as receiver:
        made(database, clock, receiver.url)
        alert(database, clock)
        with database.begin() as session:
            hand_out(session, new_id, clock())
            [due] = take(session, (), 1, clock())
            unsubscribe(session, 1, "ann", clock())
        attempt(database, due, destination, post, clock)
    with database.read() as session:
        assert webhooks.counts(session) == {}
        assert webhooks.all_of(session) == []
        with pytest.raises(NotFound, match="there is no webhook 1"):
            webhooks.get(session, 1)


def test_a_long_log_is_handed_out_in_pages(
    database: Database, clock: Clock, new_id: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "AT_ONCE", 2)
    made(database, clock, "https://93.184.215.14/")
    for number in range(3):
        alert(database, clock, str(number))
    with database.begin() as session:
        latest = hand_out(session, new_id, clock())
        assert webhooks.get(session, 1).upto == latest - 1
        hand_out(session, new_id, clock())
        assert webhooks.get(session, 1).upto == latest
    assert len(deliveries(database)) == 3


def test_refuses_an_event_that_there_is_not_and_a_webhook_too_many(
    database: Database, clock: Clock
) -> None:
    with pytest.raises(InvalidInput, match="did you mean 'alert:raised'"):
        made(database, clock, "https://93.184.215.14/", "alert:rised")
    with pytest.raises(InvalidInput, match=r"no event 'x'\. The README"):
        made(database, clock, "https://93.184.215.14/", "x")
    for _ in range(MOST_WEBHOOKS):
        made(database, clock, "https://93.184.215.14/")
    with pytest.raises(Conflict, match="there are 100 webhooks"):
        made(database, clock, "https://93.184.215.14/")
