"""Real requests, measured as they pass: counted for Prometheus, and the last minutes for health."""

import time
from collections import deque
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WINDOW_SECONDS = 300.0
# At 100 requests a second the window is a little shorter than five minutes.
_MOST = 30_000
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# Paths without a route: pages, their files, and whatever strangers try.
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Took:
    """How long requests of the last minutes took to be answered, and how many of them failed."""

    requests: int
    failed: int
    median: float
    p95: float


class Requests:
    """What is known of the requests of this process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._number = Counter(
            "llm_pipeline_requests",
            "Requests answered, by the template of their route",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "llm_pipeline_request_seconds",
            "Seconds until an answer began; streams and downloads go on after that",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._recent: deque[tuple[float, float, bool]] = deque(maxlen=_MOST)

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        self._number.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        # What is sent may be a file of any size: only reading says how quick this server is.
        if method == "GET" and route != OTHER:
            self._recent.append((time.monotonic(), seconds, status >= 500))

    def recent(self) -> Took:
        """Return how reading requests of the last minutes went."""
        since = time.monotonic() - WINDOW_SECONDS
        found = [(took, failed) for at, took, failed in list(self._recent) if at >= since]
        if not found:
            return Took(0, 0, 0.0, 0.0)
        sorted_seconds = sorted(took for took, _ in found)
        last = len(found) - 1
        median, p95 = (sorted_seconds[round(share * last)] for share in (0.5, 0.95))
        return Took(len(found), sum(failed for _, failed in found), median, p95)


class Measured:
    """Measures each request until its answer begins."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app = app
        self.requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", None) or OTHER
                seconds = time.perf_counter() - began
                self.requests.add(_method(scope), route, message["status"], seconds)
            await send(message)

        await self.app(scope, receive, measured)


def _method(scope: Scope) -> str:
    """Return a method that is known: anybody can send others, and each would be a new label."""
    method: str = scope["method"]
    return method if method in ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE") else OTHER
