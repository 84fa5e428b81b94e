from datetime import timedelta
from threading import Thread

import pytest

from llm_pipeline.domain.records import Role
from llm_pipeline.store import credentials
from llm_pipeline.store.credentials import Identity
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock

ANN = Identity("ann", Role.REVIEWER)


@pytest.mark.parametrize("kind", ["token", "link", "session"])
def test_a_secret_is_found_by_its_kind_alone(database: Database, clock: Clock, kind: str) -> None:
    with database.begin() as session:
        credentials.add(session, kind, "secret", ANN, clock())
        found = {
            k: credentials.find(session, k, "secret", clock()) for k in ("token", "link", kind)
        }
        assert {k for k, identity in found.items() if identity == ANN} == {kind}
        assert credentials.find(session, kind, "other", clock()) is None


def test_a_secret_ends_at_its_time(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        end = clock() + timedelta(hours=1)
        credentials.add(session, "session", "s", ANN, clock(), expires_at=end)
        assert credentials.find(session, "session", "s", end - timedelta(seconds=1)) == ANN
        assert credentials.find(session, "session", "s", end) is None
        assert credentials.use_once(session, "session", "s", end) is None


def test_a_token_is_not_spent_by_taking_it_for_a_link(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        credentials.add(session, "token", "t", ANN, clock())
        assert credentials.use_once(session, "link", "t", clock()) is None
        assert credentials.find(session, "token", "t", clock()) == ANN


def test_only_one_of_two_gets_a_one_time_secret(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        credentials.add(session, "link", "l", ANN, clock())
    got: list[Identity | None] = []

    def use() -> None:
        with database.begin() as session:
            got.append(credentials.use_once(session, "link", "l", clock()))

    threads = [Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=str) == sorted([ANN, None], key=str)


def test_revoking_ends_all_that_a_user_has(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        credentials.add(session, "token", "a", ANN, clock())
        credentials.add(session, "session", "b", ANN, clock())
        credentials.add(session, "token", "c", Identity("bob", Role.ADMIN), clock())
        assert credentials.revoke(session, "ann", clock()) == 2
        assert credentials.revoke(session, "ann", clock()) == 0
        assert credentials.find(session, "token", "a", clock()) is None
        assert credentials.find(session, "token", "c", clock()) == Identity("bob", Role.ADMIN)


def test_the_secret_itself_is_nowhere_stored() -> None:
    assert "secret" not in credentials.digest("secret")
    assert len(credentials.digest("secret")) == 64
