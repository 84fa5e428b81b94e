from datetime import UTC, datetime, timedelta
from threading import Event as Flag
from threading import Thread, Timer
from time import monotonic

import pytest

from llm_pipeline.domain.learning_events import ModelRefused, TrainingSetBuilt
from llm_pipeline.store import log
from llm_pipeline.store.engine import Database

AT = datetime(2026, 3, 2, tzinfo=UTC)
WRITERS, EACH = 4, 500


def _event(name: str = "1") -> ModelRefused:
    return ModelRefused("tests", name, "0", "")


def _write(database: Database, writer: int) -> None:
    for number in range(EACH):
        with database.begin() as session:
            log.append(session, AT, _event(f"{writer}-{number}"))


class RolledBack(Exception):
    pass


def _append_and_fail(database: Database) -> None:
    with database.begin() as session:
        assert log.append(session, AT, _event()) == 3
        raise RolledBack


def test_offsets_have_no_gaps_even_where_a_transaction_rolled_back(database: Database) -> None:
    with database.begin() as session:
        assert log.append(session, AT, _event(), _event()) == 2
    with pytest.raises(RolledBack):
        _append_and_fail(database)
    with database.begin() as session:
        assert log.next_offset(session) == 3
        assert log.append(session, AT, _event()) == 3
        assert [event.offset for event in log.read_since(session, 0)] == [1, 2, 3]


def test_events_are_read_as_they_were_written(database: Database) -> None:
    with database.begin() as session:
        log.append(session, AT, _event("7"), TrainingSetBuilt("ann", 1, 2, 3, 4))
        (built,) = log.read_since(session, 0, names=["training_set:built"])
        assert built == log.LoggedEvent(
            2, "training_set:built", AT, "ann", {"as_of": 1, "rows": 2, "texts": 3, "targets": 4}
        )
        assert [event.payload["version"] for event in log.read_since(session, 0, limit=1)] == ["7"]
        assert log.read_since(session, 2) == []


def test_the_newest_events_are_counted_by_name(database: Database) -> None:
    hour = timedelta(hours=1)
    built = TrainingSetBuilt("ann", 1, 2, 3, 4)
    with database.begin() as session:
        assert log.recent(session, 10) == log.Recent({}, None)
        log.append(session, AT, _event(), _event())
        log.append(session, AT + hour, _event(), built, _event(), built)
        found = log.recent(session, 5)
        assert list(found.names.items()) == [("model:refused", 3), ("training_set:built", 2)]
        assert found.since == AT
        assert log.recent(session, 4).since == AT + hour


def _follow(database: Database, over: Flag, seen: list[log.LoggedEvent]) -> None:
    """Collect events until one more look after the last writer is done."""
    last = False
    while not last:
        last = over.is_set()
        log.wait(database.engine, seen[-1].offset if seen else 0, timeout=0.05)
        with database.read() as session:
            while new := log.read_since(session, seen[-1].offset if seen else 0):
                seen.extend(new)


def test_two_readers_miss_nothing_and_see_nothing_twice_while_four_write(
    database: Database,
) -> None:
    over = Flag()
    both: tuple[list[log.LoggedEvent], list[log.LoggedEvent]] = ([], [])
    readers = [Thread(target=_follow, args=(database, over, seen)) for seen in both]
    writers = [Thread(target=_write, args=(database, writer)) for writer in range(WRITERS)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    for thread in readers:
        thread.join()
    wanted = sorted(f"{writer}-{number}" for writer in range(WRITERS) for number in range(EACH))
    for seen in both:
        assert [event.offset for event in seen] == list(range(1, WRITERS * EACH + 1))
        assert sorted(event.payload["version"] for event in seen) == wanted


def test_waiting_ends_with_the_next_event(database: Database) -> None:
    timer = Timer(0.05, _write_one, args=(database,))
    timer.start()
    assert log.wait(database.engine, 0, timeout=10) == 1
    timer.join()


def _write_one(database: Database) -> None:
    with database.begin() as session:
        log.append(session, AT, _event())


def test_waiting_gives_up(database: Database) -> None:
    started = monotonic()
    assert log.wait(database.engine, 0, timeout=0.06) == 0
    assert 0.05 < monotonic() - started < 5
