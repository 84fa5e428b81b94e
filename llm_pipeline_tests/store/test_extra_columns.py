"""What the columns beside a text say, read from both kinds of database."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from llm_pipeline.domain.records import Action, Source, Status, Submission
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.review import Verdict, decide
from llm_pipeline.steps.submit import submit
from llm_pipeline.store import extra_columns, log, mappings, suggestions, training
from llm_pipeline.store.engine import Database
from llm_pipeline_tests.conftest import Clock
from llm_pipeline_tests.factories import load_catalogue, write_csv

NAMES = ("gl_desc", "amount", "month", "source", "color")
HEADER = ("text", "target", "gl_desc", "amount", "time")


class Center:
    """A store that takes in rows with columns, and tells what they say."""

    def __init__(self, database: Database, clock: Clock, folder: Path) -> None:
        self.database, self.clock, self.folder = database, clock, folder
        load_catalogue(database, clock)

    def ingest(self, rows: Sequence[Sequence[str]], lands_as: Status) -> None:
        path = write_csv(self.folder / f"{len(list(self.folder.iterdir()))}.csv", HEADER, rows)
        ingest_file(self.database, Job(path, "tests", lands_as), self.clock, lambda _rows: None)

    def live(self, names: Sequence[str] = NAMES, as_of: int | None = None) -> dict[str, object]:
        with self.database.read() as session:
            frame = training.live_texts(session, as_of or log.latest(session), extra=names)
        return dict(zip(frame["text"], frame["extra"], strict=True))

    def approve(self, mapping: int) -> None:
        with self.database.begin() as session:
            version = mappings.get(session, mapping).version
            decide(session, mapping, Verdict(Action.APPROVE, version, "ann", "GS"), self.clock())


@pytest.fixture
def center(database: Database, clock: Clock, tmp_path: Path) -> Center:
    folder = tmp_path / "files"
    folder.mkdir()
    return Center(database, clock, folder)


def test_a_live_text_has_the_values_of_its_newest_row(center: Center) -> None:
    rows = [
        ("MOON CAFE", "SBUX", "food", "12.5", "2025-07-03"),
        ("SUN TAXI", "UBER", "travel", "", ""),
        ("MOON CAFE", "SBUX", "drinks", "-3", "2025-08-03"),
    ]
    center.ingest(rows, Status.APPROVED)
    assert center.live() == {
        "MOON CAFE": {
            "gl_desc": "drinks",
            "amount": -3.0,
            "month": 8,
            "source": "upload",
            "color": None,
        },
        "SUN TAXI": {
            "gl_desc": "travel",
            "amount": None,
            "month": None,
            "source": "upload",
            "color": None,
        },
    }


def test_nothing_is_read_that_is_not_named(center: Center) -> None:
    center.ingest([("MOON CAFE", "SBUX", "food", "1", "")], Status.APPROVED)
    with center.database.read() as session:
        offset = log.latest(session)
        assert "extra" not in training.live_texts(session, offset)
        assert "extra" not in training.labelled_rows(session, offset, detailed=True)
        assert suggestions.waiting(session, "1", 0, 5) == []
        assert extra_columns.of_mappings(session, [1], ()) == {}
        assert extra_columns.of_mappings(session, [], NAMES) == {}


def test_a_repeat_that_nobody_checked_teaches_nothing(center: Center) -> None:
    center.ingest([("MOON CAFE", "GS", "bank", "1", "")], Status.PENDING)
    center.approve(1)
    before = center.live(("gl_desc",))
    center.ingest([("MOON CAFE", "", "food", "1", "")], Status.PENDING)
    assert before == center.live(("gl_desc",)) == {"MOON CAFE": {"gl_desc": "bank"}}


def test_an_old_offset_gives_the_values_of_its_time(center: Center) -> None:
    center.ingest([("MOON CAFE", "GS", "bank", "1", "")], Status.APPROVED)
    with center.database.read() as session:
        offset = log.latest(session)
    center.ingest([("MOON CAFE", "GS", "fees", "1", "")], Status.APPROVED)
    assert center.live(("gl_desc",)) == {"MOON CAFE": {"gl_desc": "fees"}}
    assert center.live(("gl_desc",), offset) == {"MOON CAFE": {"gl_desc": "bank"}}


def test_each_labelled_row_has_its_own_values(center: Center) -> None:
    rows = [
        ("MOON CAFE", "SBUX", "food", "12.5", "2025-07-03"),
        ("MOON CAFE", "SBUX", "", "", "2025-08-03"),
    ]
    center.ingest(rows, Status.APPROVED)
    with center.database.read() as session:
        frame = training.labelled_rows(
            session, log.latest(session), detailed=True, extra=("gl_desc", "amount")
        )
    assert list(frame.columns) == ["normalized", "key", "target", "text", "at", "extra"]
    assert frame["extra"].tolist() == [
        {"gl_desc": "food", "amount": 12.5},
        {"gl_desc": None, "amount": None},
    ]


def test_a_waiting_text_has_the_values_of_its_newest_row(center: Center) -> None:
    center.ingest([("MOON CAFE", "", "food", "1", ""), ("SUN", "", "", "2", "")], Status.PENDING)
    with center.database.begin() as session:
        said = Submission("moon cafe", source=Source.USER, extra={"gl_desc": "drinks"})
        submit(session, said, "ann", center.clock())
    with center.database.read() as session:
        found = suggestions.waiting(session, "1", 0, 5, extra=("gl_desc", "source"))
    assert [(one.text, one.extra) for one in found] == [
        ("MOON CAFE", {"gl_desc": "drinks", "source": "user"}),
        ("SUN", {"gl_desc": None, "source": "upload"}),
    ]
