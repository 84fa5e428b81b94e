"""What only the API can tell of itself: how quick it answers, and how far it follows the log."""

import time

from llm_pipeline.api.live import Live
from llm_pipeline.api.measuring import WINDOW_SECONDS, Requests
from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.health.looking import Check
from llm_pipeline.store import log
from llm_pipeline.store.state import UNAVAILABLE, DatabaseError
from llm_pipeline.wiring import Parts

LATENCY, RECOGNISER, STREAM = "API latency", "Recogniser", "Stream"
SLOW_SECONDS = 0.5
# Fewer requests than this say nothing about a 95th percentile.
ENOUGH_REQUESTS = 20
FAILED_SHARE = 0.05
LAG_EVENTS = 1000
LATE_SECONDS, LOST_SECONDS = 5.0, 30.0


def checks(parts: Parts, live: Live, requests: Requests) -> list[Check]:
    """Return the looks at this process."""
    return [
        Check(LATENCY, lambda: [latency(requests)]),
        Check(RECOGNISER, lambda: followed(parts, live)),
    ]


def latency(requests: Requests) -> Seen:
    """Judge the reading requests of the last minutes."""
    took = requests.recent()
    if not took.requests:
        return Seen(LATENCY, Health.OK, "nobody asked in the last minutes")
    told = (
        f"{took.requests:,} reading requests in {WINDOW_SECONDS / 60:.0f} minutes: median "
        f"{took.median * 1000:.0f} ms, 95th percentile {took.p95 * 1000:.0f} ms, "
        f"{took.failed} failed"
    )
    if took.requests < ENOUGH_REQUESTS:
        return Seen(LATENCY, Health.OK, told)
    wrong = []
    if took.p95 > SLOW_SECONDS:
        wrong.append(f"1 of 20 requests takes over {took.p95:.1f} s")
    if took.failed > FAILED_SHARE * took.requests:
        wrong.append(f"{took.failed} of {took.requests} requests failed; the log says why")
    return Seen(LATENCY, Health.DEGRADED if wrong else Health.OK, told, "; ".join(wrong))


def followed(parts: Parts, live: Live) -> list[Seen]:
    """Judge how far recogniser and streams have come in the log."""
    try:
        with parts.read() as session:
            latest = log.latest(session)
    except (DatabaseError, *UNAVAILABLE):
        return []  # `Database` says so
    return [recogniser(live, latest), stream(live, latest)]


def recogniser(live: Live, latest: int) -> Seen:
    serving, behind = live.serving, latest - live.serving.offset
    answers = f"model {serving.version}" if serving.version else "names and approvals"
    lag = f"{behind:,} events behind the log" if behind > 0 else "up to date with the log"
    told = f"{answers}, {lag}"
    if serving.problem:
        return Seen(RECOGNISER, Health.DEGRADED, told, serving.problem)
    late = behind > LAG_EVENTS
    return Seen(RECOGNISER, Health.DEGRADED if late else Health.OK, told, lag if late else "")


def stream(live: Live, latest: int) -> Seen:
    behind, seconds = latest - live.told, time.monotonic() - live.looked_at
    told = f"told of offset {live.told:,}, looked {seconds:.1f} s ago"
    if behind <= 0 or seconds <= LATE_SECONDS:
        return Seen(STREAM, Health.OK, told)
    status = Health.DOWN if seconds > LOST_SECONDS else Health.DEGRADED
    return Seen(STREAM, status, told, f"{behind:,} events are not told for {seconds:.0f} s")
