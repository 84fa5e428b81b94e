"""What any process of an installation can look at by itself: store, machine, model, work left."""

import shutil
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import psutil

from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.health.looking import Check
from llm_pipeline.store import log, models, plans, training, uploads
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.wiring import Parts, now

SLOW_SECONDS = 0.5
# Below this share of the limit there is so little left that writing is about to fail.
DOWN_SHARE = 0.1
STUCK_AFTER = timedelta(minutes=5)
# What was approved is known at once; weights and calibration are of the day of the training.
OLD_MODEL = timedelta(days=30)
_CANNOT_ASK = (DatabaseError, *UNAVAILABLE)
MIB = 2**20


def checks(parts: Parts) -> list[Check]:
    """Return the looks at everything here."""
    return [
        Check("Database", lambda: [_database(parts)]),
        Check("Disk", lambda: [_disk(parts)]),
        Check("Memory", lambda: [_memory(parts)]),
        Check("Model", lambda: _asked(lambda: [_model(parts)])),
        Check("Background work", lambda: _asked(lambda: [_background(parts)])),
    ]


def _asked(look: Callable[[], Sequence[Seen]]) -> Sequence[Seen]:
    """What only the store knows is not known while it does not answer; `Database` says so."""
    try:
        return look()
    except _CANNOT_ASK:
        return []


def _database(parts: Parts) -> Seen:
    """Read, then take the right to write: a store that lets nobody write is down."""
    began = time.perf_counter()
    try:
        with parts.read() as session:
            offset = log.latest(session)
        read = time.perf_counter() - began
        with parts.begin() as session:
            session.connection()  # until it is asked for something, a session does not even begin
    except _CANNOT_ASK as error:
        return Seen("Database", Health.DOWN, "", str(error).splitlines()[0][:200])
    wrote = time.perf_counter() - began - read
    kind = parts.engine.dialect.name
    told = (
        f"{kind} read in {read * 1000:.1f} ms, writable after {wrote * 1000:.1f} ms, "
        f"at offset {offset:,}"
    )
    if read + wrote > SLOW_SECONDS:
        return Seen("Database", Health.DEGRADED, told, f"slow: {read + wrote:.1f} s a round trip")
    return Seen("Database", Health.OK, told)


def _disk(parts: Parts) -> Seen:
    folder = parts.settings.path()
    try:
        found = shutil.disk_usage(folder)
    except OSError as error:
        return Seen("Disk", Health.DOWN, "", str(error))
    told = f"{found.free / 2**30:.1f} GiB of {found.total / 2**30:.0f} GiB free in {folder}"
    return _enough("Disk", found.free, parts.settings.low_disk_mb, told, "free some space")


def _memory(parts: Parts) -> Seen:
    found, own = psutil.virtual_memory(), psutil.Process().memory_info().rss
    told = f"{found.available / 2**30:.1f} GiB free; this process uses {own / MIB:.0f} MiB"
    return _enough("Memory", found.available, parts.settings.low_memory_mb, told, "end something")


def _enough(name: str, free: int, low_mb: int, told: str, advice: str) -> Seen:
    if free >= low_mb * MIB:
        return Seen(name, Health.OK, told)
    status = Health.DOWN if free < low_mb * MIB * DOWN_SHARE else Health.DEGRADED
    return Seen(name, status, told, f"{free / MIB:,.0f} MiB free, {low_mb:,} wanted: {advice}")


def _model(parts: Parts) -> Seen:
    with parts.read() as session:
        champion = models.champion(session)
        if champion is None:
            return Seen("Model", Health.OK, "none yet: `llm-pipeline train`, or enough approvals")
        age = now() - champion.trained_at
        told = f"version {champion.version}, {_ago(age)} old"
        new = age > OLD_MODEL and training.learned_since(session, models.trained_up_to(session), 1)
    if new and new.texts:
        return Seen("Model", Health.DEGRADED, told, f"trained {_ago(age)} ago: trigger a training")
    return Seen("Model", Health.OK, told)


def _ago(age: timedelta) -> str:
    return f"{age.days} days" if age.days > 1 else f"{age.total_seconds() / 3600:.1f} hours"


def _background(parts: Parts) -> Seen:
    at = now()
    with parts.read() as session:
        files, running = uploads.unfinished(session), plans.under_way(session)
        stood = [(one, plans.get(session, one).updated_at) for one in running]
    stuck = [
        f"upload {one.id} ({one.filename}) stands at row {one.rows_read}"
        for one in files
        if one.updated_at < at - STUCK_AFTER
    ]
    stuck += [f"plan {one} stands still" for one, when in stood if when < at - STUCK_AFTER]
    told = f"{len(files)} files on their way in, {len(running)} plans under way"
    if stuck:
        reason = f"{'; '.join(stuck)}: send a file again, or restart the API, which goes on"
        return Seen("Background work", Health.DEGRADED, told, reason)
    return Seen("Background work", Health.OK, told)
