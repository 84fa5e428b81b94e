"""Trainings wanted: once per reason and version of the data, none lost, none doubled."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from llm_pipeline.domain.automation import Cause
from llm_pipeline.domain.automation_events import FeedbackGiven
from llm_pipeline.domain.triggers import ASKED, LONGEST_WAIT, MISSING_AFTER, QUIET, Trigger
from llm_pipeline.errors import Conflict
from llm_pipeline.steps.want_learning import MISSING, Enough, Wanted, ask, due, look
from llm_pipeline.store import alerts, breaker, log, models, training, wishes
from llm_pipeline.store.engine import Database, Session
from llm_pipeline_tests.automation_factories import word
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import merge

ENOUGH = Enough(decisions=20, feedback=5)


def _look(database: Database, clock: Clock) -> list[tuple[str, str]]:
    with database.begin() as session:
        look(session, ENOUGH, "tests", clock())
        return [(one.kind.value, one.version) for one in wishes.waiting(session)]


def _approve(database: Database, clock: Clock, first: int, number: int) -> None:
    rows: list[tuple[str, str | None]] = [
        (f"SHOP {word(n)}", "SBUX") for n in range(first, first + number)
    ]
    merge(database, clock, rows, trusted=True)


def _trained(session: Session, clock: Clock) -> None:
    """A model that has learned everything up to now."""
    as_of = log.latest(session)
    version = str(len(models.history(session)) + 1)
    new = models.StoredModel(version, "run", as_of, "challenger", {}, "", clock(), None)
    models.add_challenger(session, new)


def test_enough_decisions_ask_once_and_again_when_as_much_came(
    store: Database, clock: Clock
) -> None:
    _approve(store, clock, 0, 19)
    assert _look(store, clock) == []
    _approve(store, clock, 19, 1)
    assert _look(store, clock) == _look(store, clock) == [("decisions", "0:1")]
    with store.begin() as session:
        wishes.take_up(session, "run 1", clock())
        wishes.end(session, "run 1", 0, "failed", clock())
    assert _look(store, clock) == [], "it failed: the same data is not asked about again"
    _approve(store, clock, 20, 20)
    assert _look(store, clock) == [("decisions", "0:2")], "the next reason is"
    with store.begin() as session:
        wishes.take_up(session, "run 2", clock())
        _trained(session, clock)
        wishes.end(session, "run 2", 0, "promoted", clock())
    _approve(store, clock, 40, 19)
    assert _look(store, clock) == []


def test_wrong_answers_drift_and_audits_ask(store: Database, clock: Clock) -> None:
    with store.begin() as session:
        for ids in ([1, 2, 3], [4, 5, 6]):
            log.append(session, clock(), FeedbackGiven("ann", 3, 0, 3, ids, ids))
        drift = alerts.Finding("drift", "submissions", "critical", "it drifts")
        number = alerts.raise_once(session, drift, clock())
        breaker.stop(session, Cause.AUDITS, "", "audits are wrong", "tests", clock())
        breaker.stop(session, Cause.PERSON, "", "holidays", "tests", clock())
        (stop, _) = breaker.open_stops(session)
    expected = [
        ("feedback", "0:1"),
        ("drift", f"alert {number}"),
        ("performance", f"stop {stop.id}"),
    ]
    assert _look(store, clock) == _look(store, clock) == expected
    with store.read() as session:
        told = log.read_since(session, 0, names=["learning:wanted"])
    assert [event.payload["reason"] for event in told] == [
        "6 answers called wrong since the last training",
        "it drifts",
        "audits are wrong",
    ]


def test_a_burst_of_reasons_is_one_training(store: Database, clock: Clock) -> None:
    began = clock()
    with store.begin() as session:
        for number in range(3):
            at = began + number * QUIET / 2
            wishes.want(session, Trigger.DRIFT, str(number), f"reason {number}", "tests", at)
        assert due(session, began + QUIET) is None, "more may come"
        quiet = due(session, began + 2 * QUIET)
        assert quiet == Wanted(3, "reason 0; reason 1; reason 2")
        for number in range(3, 40):
            at = began + number * QUIET / 2
            wishes.want(session, Trigger.DRIFT, str(number), "again", "tests", at)
        assert due(session, began + LONGEST_WAIT) is not None, "the first waits no longer"


def test_a_person_asks_once_at_a_time(store: Database, clock: Clock) -> None:
    with store.begin() as session:
        wanted = ask(session, "", "ann", clock())
        (wish,) = wishes.waiting(session)
        assert (wish.id, wish.reason) == (wanted, "ann asked for it")
        with pytest.raises(Conflict, match="a training is under way, wanted by ann"):
            ask(session, "now", "bob", clock())
        wishes.asked(session, wanted, "run 1", clock())
        assert due(session, wish.wanted_at + 2 * QUIET) is None, "its run is on its way"
        assert due(session, clock() + ASKED) is not None, "it did not come"
        wishes.take_up(session, "run 1", clock())
        with pytest.raises(Conflict, match=r"\(run run 1\)"):
            ask(session, "now", "bob", clock())
        wishes.end(session, "run 1", 0, "refused", clock())
        assert ask(session, "now", "bob", clock()) == wanted + 1


def test_a_run_that_failed_before_it_began_ends_what_it_was_for(
    store: Database, clock: Clock
) -> None:
    with store.begin() as session:
        first = ask(session, "", "ann", clock())
        later = wishes.want(session, Trigger.DRIFT, "later", "it drifts", "tests", clock())
        assert wishes.end(session, "run 1", first, "failed", clock()) == [first]
        assert [one.id for one in wishes.waiting(session)] == [later]


def test_a_training_that_does_not_happen_is_told_until_it_did(
    store: Database, clock: Clock
) -> None:
    with store.begin() as session:
        ask(session, "", "ann", clock())
    clock.time += MISSING_AFTER
    _look(store, clock)
    _look(store, clock)
    with store.begin() as session:
        (alert,) = alerts.open_alerts(session)
        wishes.end(session, "run 1", 1, "promoted", clock())
    _look(store, clock)
    with store.read() as session:
        assert alerts.open_alerts(session) == []
        names = [event.name for event in log.read_since(session, 0)][-2:]
    assert (alert.rule, alert.times) == (MISSING, 2)
    assert "Is the Dagster daemon running?" in alert.message
    assert names == ["alert:raised", "alert:resolved"]


@dataclass
class _Daemon:
    """What Dagster's daemon does with requests: a key starts one run, whatever is asked again.

    Killed, it forgets a request that it had not begun to launch; its keys are in its storage.
    """

    keys: set[str] = field(default_factory=set)
    queue: list[Wanted] = field(default_factory=list)

    def tick(self, session: Session, clock: Clock, *, killed: bool) -> None:
        look(session, ENOUGH, "tests", clock())
        wanted = due(session, clock())
        if wanted is None or self.queue or wishes.under_way(session) or killed:
            return
        key = f"learning-{wanted.upto}"
        if key not in self.keys:
            self.keys.add(key)
            self.queue.append(wanted)


def test_in_a_week_no_reason_is_lost_and_none_asks_twice(store: Database, clock: Clock) -> None:
    """Every ten minutes a tick; texts are approved and answers called wrong at random times, runs
    take an hour or fail, the daemon is killed twice, each time with a request in its hands."""
    dice, daemon = random.Random(11), _Daemon()  # noqa: S311 (the same week each time)
    running: tuple[str, int, int] | None = None
    approved = runs = killed = 0
    taken: list[list[int]] = []
    for step in range(7 * 24 * 6):
        clock.time += timedelta(minutes=10)
        if dice.random() < 0.05:
            number = dice.randint(1, 30)
            _approve(store, clock, approved, number)
            approved += number
        with store.begin() as session:
            if dice.random() < 0.02:
                ids = [4 * step + n for n in range(4)]
                log.append(session, clock(), FeedbackGiven("ann", 4, 0, 4, ids, ids))
            if running is not None and step >= running[1]:
                run_id, _, upto = running
                failed = dice.random() < 0.3
                if not failed:
                    _trained(session, clock)
                wishes.end(session, run_id, upto, "failed" if failed else "promoted", clock())
                running = None
        with store.begin() as session:
            look(session, ENOUGH, "tests", clock())
            dies = killed < 2 and due(session, clock() + LONGEST_WAIT) is not None
            killed += dies
        with store.begin() as session:
            daemon.tick(session, clock, killed=dies)
            if daemon.queue and running is None:
                wanted = daemon.queue.pop()
                runs += 1
                found = wishes.take_up(session, f"run {runs}", clock())
                taken.append([one.id for one in found])
                running = (f"run {runs}", step + 6, wanted.upto)

    with store.begin() as session:
        every = wishes.history(session, 1_000)
        for one in wishes.under_way(session):
            wishes.end(session, one.run_id or "", 0, "promoted", clock())
        open_now = wishes.waiting(session)
        newest = log.read_since(session, 0, 10_000, ["learning:wanted"])
        learned = training.learned_since(session, models.trained_up_to(session))
    flat = [number for one in taken for number in one]
    assert killed == 2
    assert runs > 5
    assert len({(one.kind, one.version) for one in every}) == len(every) == len(newest)
    assert all(taken), "no run without a reason"
    assert len(flat) == len(set(flat)), "no reason is answered by two runs"
    assert sorted([*flat, *(one.id for one in open_now)]) == sorted(one.id for one in every)
    assert learned.texts < 2 * ENOUGH.decisions + 30
