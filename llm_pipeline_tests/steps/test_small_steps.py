"""Submit, load and alert."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_pipeline.domain.records import Submission, Target
from llm_pipeline.errors import InvalidInput, UnknownTarget
from llm_pipeline.steps import load
from llm_pipeline.steps.alert import raise_alert, resolve_alert
from llm_pipeline.steps.load import load_targets, read_targets
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import alerts, catalogue, log
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, standing, submission, write_csv

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def _names(database: Database) -> list[str]:
    with database.read() as session:
        return [event.name for event in log.read_since(session, 0)]


def test_a_submitted_text_waits_and_the_next_one_joins(database: Database, clock: Clock) -> None:
    load_catalogue(database, clock)
    with database.begin() as session:
        first = submit(session, submission("MOON CAFE", "GS"), "ann", clock())
        second = submit(session, submission("moon-cafe"), "bob", clock())
    assert (first.id, first.submitter, first.proposed_target) == (second.id, "ann", "GS")
    assert standing(database) == [("MOON CAFE", "pending", None, "GS", 2)]
    with database.read() as session:
        told = log.read_since(session, 1)
    assert [event.payload["new_mappings"] for event in told] == [1, 0]
    assert [event.payload["mapping_id"] for event in told] == [first.id] * 2


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (Submission(""), "no letter"),
        (Submission("?!"), "no letter"),
        (Submission("a\x00b"), "U\\+0000"),
        (Submission("x" * 2_001), "it has 2001 characters, 2000 are allowed"),
        (Submission("A", note="a\x00b"), "the note"),
        (Submission("A", note="caf\udce9"), "the note"),
        (Submission("A", target="NOPE"), "'NOPE'"),
        (Submission("A", target="NFLX"), "'NFLX'"),
    ],
)
def test_an_unusable_submission_is_refused_with_its_reason(
    database: Database, clock: Clock, said: Submission, problem: str
) -> None:
    load_catalogue(database, clock)
    with database.begin() as session:
        catalogue.retire(session, ["NFLX"], clock(), 9)
    kind = UnknownTarget if said.target else InvalidInput
    with pytest.raises(kind, match=problem), database.begin() as session:
        submit(session, said, "ann", clock())
    assert standing(database) == []


def test_a_catalogue_is_read_from_a_file(database: Database, clock: Clock, tmp_path: Path) -> None:
    rows = [("SBUX", " Starbucks ", "Food", "NY", ""), ("GS", "Goldman", "", "", "")]
    path = write_csv(tmp_path / "t.csv", ("key", "name", "category", "city", "none"), rows)
    entries = read_targets(path)
    assert entries == [Target("SBUX", "Starbucks", "Food", {"city": "NY"}), Target("GS", "Goldman")]
    with database.begin() as session:
        event = load_targets(session, entries, "ann", clock())
    assert (event.created, event.changed, event.total) == (2, 0, 2)
    assert _names(database) == ["catalogue:loaded"]


EXPORTED = "llm_pipeline_id,key,name,category,attributes,retired\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("key,title\nA,a\n", "has no column 'name'; it has key, title"),
        ("key,name\nA,a\n,b\n", "line 3: the key is empty"),
        ("key,name\nA\n", "line 2: the row has 1 cells"),
        ("key,name\nA,caf\udce9\n", "line 2: it is not valid UTF-8"),
        (f"{EXPORTED}1,A,a,,{{}},false\n2,B,b,,[1],false\n", "line 3: its attributes are no JSON"),
        (f"{EXPORTED}1,A,a,,{{,false\n", "line 2: its attributes are no JSON"),
        (f'{EXPORTED}1,A,a,,"{{""x"": null}}",false\n', "line 2: its attributes are no JSON"),
        (f"{EXPORTED}1,A,a,,,false\n", "line 2: its attributes are no JSON"),
        (f"{EXPORTED}1,A,a,,{'[' * 9000},false\n", "line 2: its attributes are no JSON"),
        ("llm_pipeline_id,key,name\n1,A,a\n", "has no column 'category'"),
    ],
)
def test_a_bad_catalogue_names_the_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "targets.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=said):
        read_targets(path)


def test_a_catalogue_that_breaks_off_is_not_loaded(tmp_path: Path) -> None:
    rows = "".join(f"K{number},Name {number * 7919 % 1000}\n" for number in range(20_000))
    whole = gzip.compress(f"key,name\n{rows}".encode())
    (tmp_path / "half.csv.gz").write_bytes(whole[:-2000])
    with pytest.raises(InvalidInput, match=r"half\.csv\.gz cannot be read: .*; nothing was loaded"):
        read_targets(tmp_path / "half.csv.gz")


def test_a_catalogue_has_so_many_entries_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MOST_TARGETS", 2)
    rows = [("A", "a"), ("B", "b"), ("C", "c")]
    assert len(read_targets(write_csv(tmp_path / "two.csv", ("key", "name"), rows[:2]))) == 2
    with pytest.raises(InvalidInput, match=r"three\.csv has more than 2 entries"):
        read_targets(write_csv(tmp_path / "three.csv", ("key", "name"), rows))


def test_an_alert_is_told_when_it_opens_and_when_it_is_over(
    database: Database, clock: Clock
) -> None:
    with database.begin() as session:
        for _ in range(3):
            raise_alert(session, "run_failed", "train", "critical", "broke", "ann", clock())
        assert [alert.times for alert in alerts.open_alerts(session)] == [3]
        for _ in range(2):
            resolve_alert(session, "run_failed", "train", "ann", clock())
    assert _names(database) == ["alert:raised", "alert:resolved"]
