"""Small data of the project's own: a catalogue of coffee, taxis and banks, and texts for it."""

import csv
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from llm_pipeline.domain.center_events import SubmissionsReceived
from llm_pipeline.domain.records import Status, Submission, Target
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import bulk, catalogue, log, mappings, schema, uploads
from llm_pipeline.store.engine import Database
from llm_pipeline.store.uploads import Upload
from llm_pipeline_tests.conftest import Clock

TARGETS = [
    Target("SBUX", "Starbucks Corp", "Restaurants"),
    Target("AMZN", "Amazon.com Inc", "Retail"),
    Target("UBER", "Uber Technologies", "Transport"),
    Target("NFLX", "Netflix Inc", "Media"),
    Target("GS", "Goldman Sachs Group", "Banks"),
]
FORMS = {
    "SBUX": ("STARBUCKS STORE {} SEATTLE WA", "SBUX COFFEE {} NY", "STARBUCKS CARD RELOAD {}"),
    "AMZN": ("AMZN MKTP US {}", "AMAZON PRIME {} WA", "AMAZON WEB SERVICES {}"),
    "UBER": ("UBER TRIP {} CA", "UBER EATS {} HELP", "UBER BV {} AMSTERDAM"),
    "NFLX": ("NETFLIX COM {} LOS GATOS", "NETFLIX SUBSCRIPTION {}", "PAYPAL NETFLIX {}"),
    "GS": ("GOLDMAN SACHS GRP {} COM STK", "GOLDMAN SACHS BANK {}", "GS GROUP INC {} SR NT"),
}
TOWNS = ("harbor", "maple", "summit", "valley", "cedar", "granite", "willow", "meadow")
CITIES = ("BOSTON", "OSLO", "PARIS", "LIMA", "CAIRO", "DELHI", "TOKYO", "ROME", "BERN", "KYIV")


def labelled(copies: int = 4) -> list[tuple[str, str]]:
    """Texts with their right targets, in a fixed order: every form in `copies` cities."""
    return [
        (form.format(city), key)
        for city in CITIES[:copies]
        for key, forms in FORMS.items()
        for form in forms
    ]


def shops(rows: int, seed: int, *, decides: bool) -> list[tuple[str, str, str]]:
    """Texts that say nothing of their target, their targets, and a column beside them that tells
    nine of ten targets, or is drawn by lot."""
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    found = []
    for n in range(rows):
        target, by_lot = random.choice(["AMZN", "SBUX"], 2).tolist()
        told = target if decides and random.random() < 0.8 else by_lot
        column = {"AMZN": "PARTS - all", "SBUX": "Meals"}[told]
        found.append(
            (f"{TOWNS[n % len(TOWNS)]} {''.join(random.choice(letters, 6))}", target, column)
        )
    return found


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def load_catalogue(database: Database, clock: Clock) -> None:
    with database.begin() as session:
        load_targets(session, TARGETS, "tests", clock())


def ingest_rows(
    database: Database,
    clock: Clock,
    folder: Path,
    rows: Iterable[tuple[str, str]],
    *,
    approved: bool = False,
    name: str = "rows.csv",
) -> Upload:
    """Ingest texts with targets (empty for none) as a file of that name."""
    path = write_csv(folder / name, ("text", "target"), rows)
    lands_as = Status.APPROVED if approved else Status.PENDING
    return ingest_file(database, Job(path, "tests", lands_as), clock, lambda _rows: None)


def submission(text: str, target: str | None = None) -> Submission:
    return Submission(text=text, target=target, submitter="tests")


def merge(
    database: Database,
    clock: Callable[[], datetime],
    rows: Sequence[tuple[str, str | None]],
    *,
    trusted: bool = False,
) -> None:
    """Write texts with target keys as one chunk, the way an upload of its own does."""
    with database.begin() as session:
        offset, at, ids = log.next_offset(session), clock(), catalogue.active_ids(session)
        lands_as = "approved" if trusted else "pending"
        new = uploads.NewUpload(f"{offset}.csv", "", str(offset), 0, lands_as, {}, "", "tests")
        upload = uploads.register(session, new, at)
        staged = [
            bulk.Row(
                number,
                number + 1,
                submission(text, target),
                normalize(text),
                group_key(normalize(text)),
                ids[target] if target else None,
            )
            for number, (text, target) in enumerate(rows, 1)
        ]
        act = bulk.Act(upload.id, "tests", at, offset)
        bulk.merge(session, act, staged, trusted=trusted)
        received = SubmissionsReceived("tests", len(rows), upload_id=upload.id)
        log.append(session, at, received)


def standing(database: Database) -> list[tuple[str, str, str | None, str | None, int]]:
    """Text, status, target, proposed target and rows of every mapping, oldest first."""
    with database.read() as session:
        found = mappings.page(session, mappings.Filter(), None, 1_000).items[::-1]
    return [(m.text, m.status.value, m.target, m.proposed_target, m.rows) for m in found]


def rows_stored(session: Session) -> int:
    """Count the submissions one by one."""
    return session.scalar(select(func.count()).select_from(schema.submissions)) or 0
