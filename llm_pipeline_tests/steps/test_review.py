from collections.abc import Callable
from threading import Barrier, Thread

import pytest

from llm_pipeline.domain.records import Action, Candidate, Recognition, State, Status
from llm_pipeline.errors import Conflict, InvalidInput, UnknownTarget
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import catalogue, history, log, mappings, suggestions
from llm_pipeline.store.engine import Database
from llm_pipeline.store.mappings import StoredMapping
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, merge, submission

P, A, R, X = Status.PENDING, Status.APPROVED, Status.REJECTED, Status.RETIRED
REFUSED = None

Decide = Callable[..., StoredMapping]


@pytest.fixture
def act(database: Database, clock: Clock) -> Decide:
    """Decide about a mapping as it stands; returns what it became."""
    load_catalogue(database, clock)

    def decided(mapping: int, action: Action, target: str | None = None) -> StoredMapping:
        with database.begin() as session:
            version = mappings.get(session, mapping).version
            decide(session, mapping, Verdict(action, version, "ann", target, "why"), clock())
            return mappings.get(session, mapping)

    return decided


def _get(database: Database, mapping: int) -> StoredMapping:
    with database.read() as session:
        return mappings.get(session, mapping)


def _status(database: Database, *ids: int) -> list[tuple[Status, str | None]]:
    found = [_get(database, mapping) for mapping in ids]
    return [(mapping.status, mapping.target) for mapping in found]


def _make(database: Database, clock: Clock, act: Decide, status: Status) -> None:
    """Mapping 1, proposed for GS, in a status."""
    merge(database, clock, [("A", "GS")])
    if status is R:
        act(1, Action.REJECT)
    if status in (A, X):
        act(1, Action.APPROVE)
    if status is X:
        merge(database, clock, [("A", "AMZN")], trusted=True)


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        (P, Action.APPROVE, (A, "GS")),
        (P, Action.CORRECT, (A, "UBER")),
        (P, Action.REJECT, (R, None)),
        (P, Action.SKIP, (P, None)),
        (P, Action.UNDO, REFUSED),
        (A, Action.APPROVE, REFUSED),
        (A, Action.CORRECT, (A, "UBER")),
        (A, Action.REJECT, (R, None)),
        (A, Action.SKIP, REFUSED),
        (A, Action.UNDO, (P, None)),
        (R, Action.APPROVE, REFUSED),
        (R, Action.CORRECT, REFUSED),
        (R, Action.REJECT, REFUSED),
        (R, Action.SKIP, REFUSED),
        (R, Action.UNDO, (P, None)),
        (X, Action.APPROVE, REFUSED),
        (X, Action.CORRECT, REFUSED),
        (X, Action.REJECT, REFUSED),
        (X, Action.SKIP, REFUSED),
        (X, Action.UNDO, REFUSED),
    ],
)
def test_each_action_on_each_status(
    database: Database,
    clock: Clock,
    act: Decide,
    before: Status,
    action: Action,
    after: tuple[Status, str | None] | None,
) -> None:
    _make(database, clock, act, before)
    target = "UBER" if action is Action.CORRECT else None
    standing = _get(database, 1)
    if after is REFUSED:
        with pytest.raises(InvalidInput):
            act(1, action, target)
        assert _get(database, 1) == standing
    else:
        act(1, action, target)
        assert _status(database, 1) == [after]
        assert _get(database, 1).version == standing.version + 1


@pytest.mark.parametrize(
    ("action", "names"),
    [
        (Action.APPROVE, ["review:decided", "mapping:approved"]),
        (Action.REJECT, ["review:decided", "mapping:rejected"]),
        (Action.SKIP, ["review:decided"]),
    ],
)
def test_a_decision_is_told(
    database: Database, clock: Clock, act: Decide, action: Action, names: list[str]
) -> None:
    merge(database, clock, [("A", "GS")])
    with database.read() as session:
        before = log.latest(session)
    act(1, action)
    with database.read() as session:
        told = log.read_since(session, before)
    assert [event.name for event in told] == names
    assert told[0].payload["action"] == action.value
    act(1, Action.UNDO)
    with database.read() as session:
        names = [event.name for event in log.read_since(session, told[-1].offset)]
    assert names == ["review:decided", "mapping:reopened"]


def test_the_target_named_goes_before_the_proposed_and_that_before_the_suggested(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS"), ("C", None)])
    found = Recognition("C", State.MATCHED, candidates=(Candidate("NFLX", 0.9, "model"),))
    with database.begin() as session:
        suggestions.save(session, [(n, found) for n in (1, 2, 3)], "7")
    assert act(1, Action.APPROVE, "UBER").target == "UBER"
    assert act(2, Action.APPROVE).target == "GS"
    assert act(3, Action.APPROVE).target == "NFLX"


def test_an_approval_needs_some_target_and_a_correction_a_named_one(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", None), ("B", "GS")])
    with pytest.raises(InvalidInput, match="neither a proposed nor a suggested"):
        act(1, Action.APPROVE)
    with pytest.raises(InvalidInput, match="needs the target that is right"):
        act(2, Action.CORRECT)


@pytest.mark.parametrize("target", ["NOPE", "GS", None])
def test_an_unknown_or_retired_target_is_refused(
    database: Database, clock: Clock, act: Decide, target: str | None
) -> None:
    merge(database, clock, [("A", "GS")])
    with database.begin() as session:
        catalogue.retire(session, ["GS"], clock(), 9)
    with pytest.raises(UnknownTarget, match=target or "GS"):
        act(1, Action.APPROVE, target)
    assert _status(database, 1) == [(P, None)]


def test_an_old_version_is_a_conflict_that_names_who_was_first(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS"), ("B", "GS")])
    act(1, Action.SKIP)
    merge(database, clock, [("B", "UBER")], trusted=True)
    first = r"ann decided 'skip' at 2026-03-02 09:00:\d\d UTC"
    for mapping, who in ((1, f"pending: {first}"), (2, "approved: an upload or a model")):
        with pytest.raises(Conflict, match=who), database.begin() as session:
            decide(session, mapping, Verdict(Action.APPROVE, 1, "bob"), clock())


def test_of_two_people_at_once_exactly_one_decides(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS")])
    both, ended = Barrier(2), []

    def vote(action: Action) -> None:
        both.wait()
        try:
            with database.begin() as session:
                decide(session, 1, Verdict(action, 1, action.value), clock())
            ended.append("decided")
        except Conflict:
            ended.append("conflict")

    threads = [Thread(target=vote, args=(action,)) for action in (Action.APPROVE, Action.REJECT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert len(history.decided(session, 1)) == 1
    assert sorted(ended) == ["conflict", "decided"]


def test_an_approval_displaces_the_live_mapping_and_its_undo_revives_it(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS")], trusted=True)
    merge(database, clock, [("A", "UBER")])
    act(2, Action.APPROVE)
    assert _status(database, 1, 2) == [(X, "GS"), (A, "UBER")]
    act(2, Action.UNDO)
    assert _status(database, 1, 2) == [(A, "GS"), (P, None)]
    with database.read() as session:
        ended = [history.spans(session, mapping)[0]["ended_by"] for mapping in (1, 2)]
    assert ended == ["superseded", "undone"]


def test_a_displaced_mapping_is_not_revived_beside_a_newer_label(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS")], trusted=True)
    merge(database, clock, [("A", "UBER")])
    act(2, Action.APPROVE)
    merge(database, clock, [("A", "AMZN")], trusted=True)
    with pytest.raises(InvalidInput, match="a newer label of the same text"):
        act(2, Action.UNDO)
    assert _status(database, 1, 2, 3) == [(X, "GS"), (X, "UBER"), (A, "AMZN")]


def test_undoing_a_skip_does_not_unsay_a_newer_label(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "UBER")])
    act(1, Action.SKIP)
    merge(database, clock, [("A", "GS")], trusted=True)
    with pytest.raises(InvalidInput, match="a newer label"):
        act(1, Action.UNDO)
    assert _status(database, 1) == [(A, "GS")]


def test_a_correction_is_undone_to_what_was_live(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS")])
    act(1, Action.APPROVE)
    act(1, Action.CORRECT, "UBER")
    assert _status(database, 1) == [(A, "UBER")]
    act(1, Action.UNDO)
    assert _status(database, 1) == [(A, "GS")]
    with database.read() as session:
        ended = [(span["target"], span["ended_by"]) for span in history.spans(session, 1)]
    assert ended == [("GS", "corrected"), ("UBER", "undone")]


def test_undo_again_takes_back_the_decision_before(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS")])
    act(1, Action.APPROVE)
    act(1, Action.REJECT)
    act(1, Action.UNDO)
    assert _status(database, 1) == [(A, "GS")]
    act(1, Action.UNDO)
    assert _status(database, 1) == [(P, None)]
    with pytest.raises(InvalidInput, match="no decision that can be undone"):
        act(1, Action.UNDO)


def test_a_mapping_cannot_wait_beside_another_of_its_text(
    database: Database, clock: Clock, act: Decide
) -> None:
    merge(database, clock, [("A", "GS")])
    act(1, Action.APPROVE)
    merge(database, clock, [("A", "UBER")])
    with pytest.raises(Conflict, match="another mapping of the same text"):
        act(1, Action.UNDO)
    assert _status(database, 1, 2) == [(A, "GS"), (P, None)]


def test_decisions_are_only_added(database: Database, clock: Clock, act: Decide) -> None:
    merge(database, clock, [("A", "GS")])
    kept: list[dict[str, object]] = []
    for action in (Action.SKIP, Action.APPROVE, Action.UNDO, Action.REJECT, Action.UNDO):
        act(1, action)
        with database.read() as session:
            now = history.decided(session, 1)
        assert now[:-1] == kept
        kept = now
    assert [decision["undoes"] for decision in kept] == [None, None, 2, None, 4]


def test_a_proposal_that_came_since_must_be_seen_before_an_approval(
    database: Database, clock: Clock
) -> None:
    load_catalogue(database, clock)
    with database.begin() as session:
        seen = submit(session, submission("NIGHT OWL"), "ann", clock())
    with database.begin() as session:
        submit(session, submission("NIGHT OWL", "GS"), "eve", clock())
    with pytest.raises(Conflict, match="version 2"), database.begin() as session:
        decide(session, seen.id, Verdict(Action.APPROVE, seen.version, "ann"), clock())
