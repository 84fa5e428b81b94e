"""Lists, counts and the small tables, on both databases."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from llm_pipeline.domain.records import (
    Action,
    Candidate,
    GateResult,
    Recognition,
    State,
    Status,
    Submission,
    Target,
)
from llm_pipeline.errors import GateFailed, NotFound
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import (
    activity,
    alerts,
    catalogue,
    decisions,
    history,
    idempotency,
    mappings,
    models,
    quality,
    search,
    state,
    suggestions,
    uploads,
)
from llm_pipeline.store.engine import Database, Session
from llm_pipeline.store.mappings import Filter
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge


def _texts(session: Session, wanted: Filter) -> list[str]:
    return [m.text for m in mappings.page(session, wanted, None, 10).items]


def test_a_list_is_narrowed_by_every_filter(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("Blue Café 1", "SBUX"), ("CITY TAXI", None)])
    merge(database, clock, [("UBER TRIP", "UBER")], trusted=True)
    with database.begin() as session:
        submit(session, Submission("100% taxi", submitter="x"), "bob", clock())
        for wanted, found in [
            (Filter(), ["100% taxi", "UBER TRIP", "CITY TAXI", "Blue Café 1"]),
            (Filter(q="TAXI"), ["100% taxi", "CITY TAXI"]),
            (Filter(q="taxi ci"), ["CITY TAXI"]),
            (Filter(q="CAFÉ"), ["Blue Café 1"]),
            (Filter(q="%"), ["100% taxi"]),
            (Filter(status=Status.APPROVED), ["UBER TRIP"]),
            (Filter(target="SBUX"), ["Blue Café 1"]),
            (Filter(target="UBER"), ["UBER TRIP"]),
            (Filter(target="nothing"), []),
            (Filter(source="upload"), []),
            (Filter(upload=1), ["CITY TAXI", "Blue Café 1"]),
            (Filter(submitter="bob"), ["100% taxi"]),
        ]:
            assert _texts(session, wanted) == found


def test_pages_follow_each_other_without_gap_or_repeat(database: Database, clock: Clock) -> None:
    merge(database, clock, [(f"TEXT {letter}", None) for letter in "ABCDE"])
    seen, cursor, pages = [], None, 0
    with database.read() as session:
        while pages == 0 or cursor is not None:
            page = mappings.page(session, Filter(), cursor, 2)
            seen += [m.text for m in page.items]
            cursor, pages = page.next_cursor, pages + 1
            assert (page.total, page.total_is_exact) == (5, True)
    assert (pages, seen) == (3, [f"TEXT {letter}" for letter in "EDCBA"])


def test_counting_stops_and_says_so(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "COUNT_CAP", dict.fromkeys(search.COUNT_CAP, 3))
    merge(database, clock, [(f"TEXT {letter}", None) for letter in "ABCDE"])
    with database.read() as session:
        page = mappings.page(session, Filter(q="text"), None, 4)
    assert (page.total, page.total_is_exact, len(page.items)) == (3, False, 4)


def test_one_mapping_comes_with_its_history(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", "GS")])
    with database.begin() as session:
        decide(session, 1, Verdict(Action.CORRECT, 1, "ann", "UBER", "wrong"), clock())
        (told,) = history.decided(session, 1)
        assert mappings.get(session, 1).target == "UBER"
        assert mappings.live(session, "b") is None
        assert decisions.since(session, 0) == 1
        assert mappings.counts(session)["approved"] == 1
    assert (told["action"], told["target"], told["actor"]) == ("correct", "UBER", "ann")
    assert (told["previous_status"], told["reason"], told["undoes"]) == ("pending", "wrong", None)


def test_what_is_not_there_is_not_found(database: Database) -> None:
    with database.begin() as session:
        for missing in (
            lambda: mappings.get(session, 7),
            lambda: decisions.lock(session, 7),
            lambda: uploads.get(session, 7),
            lambda: models.get(session, "7"),
        ):
            with pytest.raises(NotFound, match="7"):
                missing()


def test_a_catalogue_is_loaded_changed_and_retired(database: Database, clock: Clock) -> None:
    first = [Target("A", "Alpha", "x", {"sample": "true"}), Target("B", "Old"), Target("B", "Beta")]
    with database.begin() as session:
        assert not state.has_sample_data(session)
        assert catalogue.load(session, first, 1) == catalogue.Loaded(2, 0, 2)
        assert catalogue.load(session, first, 2) == catalogue.Loaded(0, 0, 2)
        changed = [Target("B", "Beta 2"), Target("C", "Gamma")]
        assert catalogue.load(session, changed, 3) == catalogue.Loaded(1, 1, 3)
        assert catalogue.retire(session, ["A", "nothing"], clock(), 4) == 1
        assert catalogue.retire(session, ["A"], clock(), 5) == 0
        assert set(catalogue.active_ids(session)) == {"B", "C"}
        assert catalogue.active_targets(session) == changed
        assert catalogue.retired_keys(session) == {"A"}
        assert (catalogue.count(session), state.target_count(session, "")) == (2, 3)
        assert state.has_sample_data(session)


@pytest.mark.parametrize(
    ("q", "keys"),
    [("", ["AB1", "A_1", "C"]), ("alp", ["AB1"]), ("a_", ["A_1"]), ("%", ["C"]), ("x", [])],
)
def test_targets_are_found_by_part_of_key_or_name(
    database: Database, q: str, keys: list[str]
) -> None:
    with database.begin() as session:
        entries = [Target("A_1", "Beta"), Target("AB1", "ALPHA"), Target("C", "100%")]
        catalogue.load(session, entries, 1)
        found = catalogue.page(session, q, "", 10)
        assert sorted(entry.key for entry in found) == keys
        assert state.target_count(session, q) == len(keys)
        assert [e.key for e in catalogue.page(session, "", "AB1", 10)][-1:] == ["C"]


def test_an_alert_is_opened_once_counted_and_closed(database: Database, clock: Clock) -> None:
    found = alerts.Finding("rule", "subject", "critical", "first")
    with database.begin() as session:
        opened = alerts.raise_once(session, found, clock())
        assert alerts.raise_once(session, replace(found, message="again"), clock()) is None
        (alert,) = alerts.open_alerts(session)
        assert (alert.id, alert.times, alert.message) == (opened, 2, "again")
        assert alert.raised_at < alert.updated_at
        assert alerts.resolve(session, "rule", "subject", clock()) == opened
        assert alerts.resolve(session, "rule", "subject", clock()) is None
        assert alerts.open_alerts(session) == []
        reopened = alerts.raise_once(session, found, clock())
        assert reopened not in (None, opened)


def _result(suite: str, *, success: bool) -> GateResult:
    failures = () if success else ({"reason": "bad", "failing": 3},)
    return GateResult(suite, success, "none", 10, 2, failures)


def test_a_gate_is_demanded_at_its_offset(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        with pytest.raises(GateFailed, match="has not been checked at offset 5"):
            quality.demand(session, "s", 5)
        quality.save_gate(session, _result("s", success=False), 5, clock())
        with pytest.raises(GateFailed, match=r"bad \(3 rows\)"):
            quality.demand(session, "s", 5)
        quality.save_gate(session, _result("s", success=True), 5, clock())
        quality.save_gate(session, _result("t", success=False), 5, clock())
        quality.demand(session, "s", 5)
        with pytest.raises(GateFailed, match="offset 6"):
            quality.demand(session, "s", 6)
        assert [r.success for r in quality.gate_history(session, "s")] == [True, False]
        assert [(r.suite, r.success) for r in state.latest_gates(session)] == [
            ("s", True),
            ("t", False),
        ]
        assert quality.latest_gate(session, "u") is None


def test_reports_are_read_as_written(database: Database, clock: Clock) -> None:
    at = clock()
    with database.begin() as session:
        assert quality.latest_report(session, "quality") is None
        quality.save_report(session, "quality", 1, "old", {}, at)
        new = quality.save_report(session, "quality", 2, "new", {"rows": [1]}, at)
        kept = quality.latest_report(session, "quality")
    assert kept == quality.Report(new, "quality", 2, "new", {"rows": [1]}, at)


def _model(version: str, clock: Clock) -> models.StoredModel:
    return models.StoredModel(version, "r", 9, "challenger", {"a": 1.0}, "why", clock(), None)


def test_one_model_is_champion_and_one_challenger(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        assert models.trained_up_to(session) == 0
        for version in "123":
            models.add_challenger(session, _model(version, clock))
        assert models.champion(session) is None
        models.promote(session, "2", "good", clock())
        models.promote(session, "3", "better", clock())
        models.add_challenger(session, _model("4", clock))
        models.refuse(session, "4", "worse")
        standing = {m.version: (m.status, m.reason) for m in models.history(session)}
        assert models.challenger(session) is None
        assert models.trained_up_to(session) == 9
    assert standing == {
        "1": ("refused", "overtaken by version 2"),
        "2": ("former", "good"),
        "3": ("champion", "better"),
        "4": ("refused", "worse"),
    }


def test_a_key_that_a_client_chose_is_remembered(database: Database, clock: Clock) -> None:
    merge(database, clock, [("A", None)])
    answered = idempotency.Answered("digest", 1)
    with database.begin() as session:
        assert idempotency.find(session, "ann", "k") is None
        idempotency.save(session, "ann", "k", answered, clock())
        assert idempotency.find(session, "ann", "k") == answered
        assert idempotency.find(session, "bob", "k") is None


def test_uploads_are_listed_by_what_they_are_at(database: Database, clock: Clock) -> None:
    for letter in "ABC":
        merge(database, clock, [(letter, None)])
    with database.begin() as session:
        uploads.set_status(session, 1, "finished", clock())
        uploads.set_status(session, 2, "failed", clock(), "broken")
        assert [u.id for u in uploads.unfinished(session)] == [3]
        assert [u.id for u in uploads.recent(session, 2)] == [3, 2]
        assert [u.id for u in state.upload_page(session, None, 2)] == [3, 2]
        assert [u.id for u in state.upload_page(session, 2, 2)] == [1]
        assert state.upload_count(session) == 3
        assert uploads.get(session, 2).error == "broken"
        assert activity.uploads_by_status(session) == {"running": 1, "finished": 1, "failed": 1}


def test_a_submission_counts_for_the_utc_day_of_its_own_time(
    database: Database, clock: Clock
) -> None:
    with database.begin() as session:
        late = clock().replace(hour=23)
        submit(session, Submission("A", occurred_at=late - timedelta(days=9)), "ann", clock())
        submit(session, Submission("B"), "ann", late)
        days = activity.submissions_by_day(session)
        assert activity.last_received(session) == late
    assert days == [(date(2026, 2, 21), 1), (date(2026, 3, 2), 1)]


def _answer(text_: str, target: str | None, probability: float) -> Recognition:
    found = (Candidate(target, probability, "model"),) if target else ()
    return Recognition(text_, State.MATCHED, target, probability, found, "7")


def test_suggestions_are_kept_for_what_waits(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", None), ("B", None), ("B", None), ("C", None)])
    with database.begin() as session:
        decide(session, 3, Verdict(Action.REJECT, 1, "ann"), clock())
        suggestions.save(session, [], "7")
        assert [w.text for w in suggestions.waiting(session, "7", 0, 10)] == ["A", "B"]
        answers = [_answer("A", "GS", 0.9), _answer("B", None, 0), _answer("C", "GS", 0.8)]
        suggestions.save(session, list(enumerate(answers, 1)), "7")
        assert suggestions.waiting(session, "7", 0, 10) == []
        assert len(suggestions.waiting(session, "8", 1, 10)) == 1
        shown = suggestions.examples(session, 1)
    assert shown == [{"text": "B", "rows": 2, "suggestion": None, "probability": 0.0}]


def test_agreement_compares_decisions_with_what_was_suggested(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    merge(database, clock, [("A", None), ("B", None), ("C", None), ("D", None)])
    with database.begin() as session:
        answers = [(n, _answer(t, "GS", 0.8)) for n, t in enumerate("ABC", 1)]
        suggestions.save(session, answers, "7")
        decide(session, 1, Verdict(Action.APPROVE, 2, "ann"), clock())
        decide(session, 2, Verdict(Action.CORRECT, 2, "ann", "UBER"), clock())
        decide(session, 3, Verdict(Action.SKIP, 2, "ann"), clock())
        decide(session, 4, Verdict(Action.REJECT, 1, "ann"), clock())
        decide(session, 1, Verdict(Action.CORRECT, 3, "ann", "UBER"), clock())
        (found,) = activity.agreement(session)
    assert (found.model_version, found.decided, found.agreed) == ("7", 2, 1)
    assert found.mean_probability == pytest.approx(0.8)


def test_a_database_that_is_gone_is_told_from_a_wrong_statement(database: Database) -> None:
    with pytest.raises(state.DatabaseError), database.read() as session:
        session.execute(text("SELECT nothing FROM nowhere"))
