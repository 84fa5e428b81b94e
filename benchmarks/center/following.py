"""Events to readers while four processes write: none lost, none twice, in order."""

import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context

from center.loading import Run
from center.results import Goal
from center.stores import opened
from llm_pipeline.config import Settings
from llm_pipeline.domain.learning_events import ModelRefused
from llm_pipeline.store import log
from llm_pipeline.wiring import now

EVENTS = 100_000
WRITERS, READERS = 4, 2
STORE = "events"
WAIT_SECONDS = 1.0
# A reader that has seen nothing new for so long will see no more.
QUIET_SECONDS = 60


def events(run: Run) -> None:
    """Each writer appends in transactions of one event; each reader remembers the last offset."""
    settings = run.stores.fresh(STORE)
    with opened(settings) as database, database.read() as session:
        start = log.latest(session)
    wanted = sorted(f"{writer}-{n}" for writer in range(WRITERS) for n in range(EVENTS // WRITERS))
    with ProcessPoolExecutor(WRITERS + READERS, get_context("spawn")) as pool:
        started = time.perf_counter()
        readers = [pool.submit(follow, settings, start, EVENTS) for _ in range(READERS)]
        writers = [pool.submit(write, settings, writer) for writer in range(WRITERS)]
        for writer in writers:
            writer.result()
        seconds = time.perf_counter() - started
        seen = [reader.result() for reader in readers]
    wrong = sum(_wrong(offsets, names, start, wanted) for offsets, names in seen)
    run.results.add(
        f"events lost or twice, {WRITERS} writers, {READERS} readers",
        f"{wrong} of {EVENTS:,} ({EVENTS / seconds:,.0f} events/s)",
        "",
        wrong,
        Goal("at most", 0),
    )
    run.stores.drop(STORE)


def write(settings: Settings, writer: int) -> None:
    with opened(settings) as database:
        for number in range(EVENTS // WRITERS):
            with database.begin() as session:
                log.append(session, now(), ModelRefused("benchmark", f"{writer}-{number}", "0", ""))


def follow(settings: Settings, after: int, number: int) -> tuple[list[int], list[str]]:
    """Return offsets and names of all events past an offset, as they came."""
    offsets: list[int] = []
    names: list[str] = []
    quiet = time.monotonic()
    with opened(settings) as database:
        while len(names) < number and time.monotonic() - quiet < QUIET_SECONDS:
            log.wait(database.engine, after, WAIT_SECONDS)
            with database.read() as session:
                new = log.read_since(session, after)
            if new:
                after, quiet = new[-1].offset, time.monotonic()
            offsets += [event.offset for event in new]
            names += [event.payload["version"] for event in new]
    return offsets, names


def _wrong(offsets: list[int], names: list[str], start: int, wanted: list[str]) -> int:
    """Count events that are missing, there twice, or out of order."""
    missing = len(set(wanted) - set(names))
    twice = len(names) - len(set(names))
    disorder = sum(later <= earlier for earlier, later in pairwise(offsets))
    gaps = 0 if offsets == list(range(start + 1, start + 1 + len(wanted))) else 1
    return missing + twice + disorder + gaps
