from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from llm_pipeline.domain.learning_events import ModelRefused
from llm_pipeline.store import log, schema, schema_operations, state
from llm_pipeline.store.columns import UTCDateTime, metadata
from llm_pipeline.store.documents import UNMODELLED
from llm_pipeline.store.engine import Database, migrate, open_engine
from llm_pipeline_tests.conftest import Clock

EVENT = ModelRefused("tests", "1", "0", "")


def test_the_migrations_give_the_schema_that_the_code_speaks_of(database: Database) -> None:
    assert {schema.events.name, schema_operations.models.name} <= set(metadata.tables)
    with database.read() as session:
        context = MigrationContext.configure(
            session.connection(), opts={"include_name": lambda name, *_: name not in UNMODELLED}
        )
        assert compare_metadata(context, metadata) == []
        assert state.is_migrated(session)


def test_migrating_again_changes_nothing(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        log.append(session, clock(), EVENT)
    migrate(database.engine)
    with database.read() as session:
        assert log.latest(session) == 1


def test_a_database_that_was_never_migrated_is_told(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    with Database(engine).read() as session:
        assert not state.is_migrated(session)
    engine.dispose()


def test_a_transaction_that_raises_leaves_nothing(database: Database, clock: Clock) -> None:
    def fail() -> None:
        with database.begin() as session:
            log.append(session, clock(), EVENT)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with database.read() as session:
        assert log.latest(session) == 0


def test_a_reader_sees_one_state_while_others_write(database: Database, clock: Clock) -> None:
    with database.read() as session:
        before = log.latest(session)
        with database.begin() as other:
            log.append(other, clock(), EVENT)
        assert log.latest(session) == before == 0


def test_writers_that_touch_rows_and_log_in_either_order_take_turns(
    database: Database, clock: Clock
) -> None:
    done: list[str] = []

    def write(name: str, *, log_first: bool) -> None:
        for _ in range(20):
            with database.begin() as session:
                if log_first:
                    log.append(session, clock(), EVENT)
                session.execute(text("UPDATE targets SET name = :name"), {"name": name})
                if not log_first:
                    log.append(session, clock(), EVENT)
        done.append(name)

    threads = [Thread(target=write, args=(str(n),), kwargs={"log_first": n == 1}) for n in (1, 2)]
    with database.begin() as session:
        session.execute(
            text(
                "INSERT INTO targets (key, name, attributes, changed_offset)"
                " VALUES ('A', 'a', '{}', 1)"
            )
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["1", "2"]


def test_times_come_back_in_utc(database: Database) -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=timezone(timedelta(hours=-5)))
    with database.begin() as session:
        log.append(session, noon, EVENT)
        (stored,) = session.scalars(select(schema.events.c.at))
        assert (stored, stored.tzinfo) == (noon, UTC)


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="without a zone"), database.begin() as session:
        log.append(session, datetime(2026, 3, 2), EVENT)


def test_a_null_time_stays_null() -> None:
    engine = create_engine("sqlite://")
    assert UTCDateTime().process_bind_param(None, engine.dialect) is None
    assert UTCDateTime().process_result_value(None, engine.dialect) is None


def test_two_live_mappings_of_one_text_cannot_be_stored(database: Database) -> None:
    row = (
        "INSERT INTO mappings (text, normalized, key, status, source, submitter, received_offset,"
        " created_at, updated_at) VALUES ('A', 'a', 'a', :status, 'api', '', 1, :at, :at)"
    )
    values = {"at": "2026-03-02 00:00:00"}
    both = [values | {"status": status} for status in ("approved", "auto_approved")]
    with pytest.raises(IntegrityError), database.begin() as session:
        session.execute(text(row), both)


def test_nothing_is_created_by_opening(tmp_path: Path) -> None:
    path = tmp_path / f"{uuid4().hex}.db"
    open_engine(f"sqlite:///{path}").dispose()
    assert not path.exists()
