"""False alarms of data drift over the months of a real stream, and whether a shift is seen.

    python benchmarks/drift.py FILE --text text --target mcc --time month --home FOLDER

FILE is a CSV (`.gz` too) in the order of its months. Each month arrives in a store as trusted
labels, at its own time, and is compared with the three before it by what the quality report uses.
Then the last month comes once more with a fifth and with half of its rows shifted in one way. The
first run fills the store, ten minutes for the 377,173 rows of Toronto; later ones use it.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd

from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Submission, Target
from llm_pipeline.domain.stream_drift import DataDrift, Seen, compare_data
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.steps.load import load_targets
from llm_pipeline.store import bulk, catalogue, log, stream_sample, uploads
from llm_pipeline.store.engine import Database
from llm_pipeline.wiring import Parts

ACTOR = "benchmark"
BEFORE = 3
SAMPLE = 5_000
SHIFTED = (5, 2)  # every fifth row, every second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--target", default="target")
    parser.add_argument("--time", default="month", help="a column of months such as 201107")
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args()
    rows = pd.read_csv(given.file, dtype=str, keep_default_na=False)
    rows = rows[[given.text, given.target, given.time]]
    rows.columns = pd.Index(["text", "target", "month"])
    filled = (given.home / "store.db").exists()
    parts = Parts(Settings(home=given.home))
    parts.migrate()
    months = [(_begin(month), part) for month, part in rows.groupby("month", sort=True)]
    if not filled:
        keys = sorted(set(rows["target"]))
        with parts.begin() as session:
            load_targets(session, [Target(key, key) for key in keys], ACTOR, datetime.now(UTC))
        for begin, part in months:
            arrive(parts.database, begin, list(zip(part["text"], part["target"], strict=True)))
    begins = [begin for begin, _ in months]
    begins.append(begins[-1] + timedelta(days=31))
    compared(parts.database, begins)


def compared(database: Database, begins: Sequence[datetime]) -> None:
    with database.read() as session:
        seen = [stream_sample.seen(session, low, high, SAMPLE) for low, high in pairwise(begins)]
    print("| month | rows | text length | words | targets | new texts | alarm |")
    print("|---|---|---|---|---|---|---|")
    told, alarms = 0, 0
    for number, month in enumerate(seen):
        before = [one for part in seen[max(0, number - BEFORE) : number] for one in part]
        drift = compare_data(before, month)
        told += bool(drift.parts)
        alarms += bool(drift.large)
        print(f"| {begins[number]:%Y-%m} | {len(month):,} | {_shown(drift)} |")
    print(f"\n{alarms} false alarms in {told} of {len(seen)} months that could be compared\n")
    for step in SHIFTED:
        shifts(seen, step)


def shifts(seen: Sequence[Sequence[Seen]], step: int) -> None:
    """The newest month with one in `step` of its rows changed in one way at a time."""
    before = [one for part in seen[-1 - BEFORE : -1] for one in part]
    month = seen[-1]
    ways = {
        "as it came": month,
        "longer by 60 letters": [_every(n, step, o, normalized=o.normalized + " " + "x" * 60)
                                 for n, o in enumerate(month)],
        "other words": [_every(n, step, o, normalized=o.normalized[::-1])
                        for n, o in enumerate(month)],
        "one new word": [_every(n, step, o, normalized=f"{o.normalized[:-9]} delivery")
                         for n, o in enumerate(month)],
        "another target": [_every(n, step, o, target="new target") for n, o in enumerate(month)],
        "new texts": [_every(n, step, o, is_new=True) for n, o in enumerate(month)],
    }  # fmt: skip
    print(f"\n| one in {step} of {len(month):,} | text length | words | targets | new | alarm |")
    print("|---|---|---|---|---|---|")
    for name, rows in ways.items():
        print(f"| {name} | {_shown(compare_data(before, rows))} |")


def _every(number: int, step: int, one: Seen, **changed: object) -> Seen:
    if number % step:
        return one
    fields = {"normalized": one.normalized, "target": one.target, "is_new": one.is_new}
    return Seen(**{**fields, **changed})  # type: ignore[arg-type]


def _shown(drift: DataDrift) -> str:
    if not drift.parts:
        return "| | | | too few before"
    values = " | ".join(f"{part.value:.3f}" for part in drift.parts)
    return f"{values} | {', '.join(part.name for part in drift.large)}"


def arrive(database: Database, begin: datetime, rows: Sequence[tuple[str, str]]) -> None:
    """Take in the rows of a month as trusted labels, in four lots over it."""
    size = -(-len(rows) // 4)
    for number, start in enumerate(range(0, len(rows), size)):
        at = begin + timedelta(days=1 + 7 * number)
        with database.begin() as session:
            offset, ids = log.next_offset(session), catalogue.active_ids(session)
            name = f"{at:%Y%m%d}"
            new = uploads.NewUpload(name, "", name, 0, "approved", {}, "", ACTOR)
            upload = uploads.register(session, new, at)
            staged = []
            for place, (text, target) in enumerate(rows[start : start + size], 1):
                form = normalize(text)
                sent = Submission(text=text, target=target, submitter=ACTOR)
                key = group_key(form)
                staged.append(bulk.Row(place, place + 1, sent, form, key, ids[target]))
            good = [row for row in staged if row.normalized]
            bulk.merge(session, bulk.Act(upload.id, ACTOR, at, offset), good, trusted=True)


def _begin(month: object) -> datetime:
    return datetime.strptime(str(month), "%Y%m").replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
