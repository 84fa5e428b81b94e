"""Searches through the API beside LIKE and count(*) of the same, pages, and the index's size."""

from collections.abc import Mapping
from typing import Any

import httpx
from measuring import timed
from sqlalchemy import text

from center.loading import Run, prepared
from center.queries import Search, searches
from center.results import Goal
from center.serving import MAPPINGS, client, milliseconds, percentile, serving, spread
from center.stores import opened
from llm_pipeline.config import Settings
from llm_pipeline.store.engine import Session

SEED = 17
ASKED = 200
# A scan of five million rows takes seconds: it is asked a part of the searches.
SCANNED_EACH = 5
PAGE = 10_000
REPEATED = 100
SMALL, SMALLER, LARGE = 100_000, 1_000_000, 5_000_000
ANALYTICS = "/api/llm-center/analytics"


def search(run: Run) -> None:
    """Page 1 of varied searches, with its total, beside LIKE over the same column."""
    settings = prepared(run)
    own, _ = _asked(settings, limit=50)
    peer, _ = _scanned(settings, "id, text, normalized, status, target_id, rows, created_at", 50)
    worst = percentile(own, 95)
    run.results.add("search, p95 ms", spread(own), "", worst, Goal("at most", 50, " ms"))
    run.results.add(
        "search beside LIKE, p95",
        spread(own),
        f"`LIKE` {spread(peer)}",
        percentile(peer, 95) / worst,
        Goal("at least", 100, " x", LARGE),
    )
    smaller = run.results.earlier("search, p95 ms", SMALLER)
    if run.rows > SMALLER and smaller is not None:
        grown, goal = worst / smaller, Goal("at most", 3, " x")
        run.results.add("search as rows grow, p95", spread(own), f"1M: {smaller:.3g}", grown, goal)


def counts(run: Run) -> None:
    """One row and the total of each search beside count(*) of the same."""
    settings = prepared(run)
    own, pages = _asked(settings, limit=1)
    peer, scans = _scanned(settings, "count(*)", None)
    pairs = zip(pages[::SCANNED_EACH], scans, strict=True)
    counted = [(page, rows[0][0]) for page, rows in pairs if rows[0][0]]
    same = sum(_agrees(page, number) for page, number in counted)
    run.results.add(
        "exact or capped count, p95",
        f"{spread(own)} ({same} of the {len(counted)} totals of what LIKE finds are the same)",
        f"`count(*)` {spread(peer)}",
        percentile(peer, 95) / percentile(own, 95),
        Goal("at least", 20, " x", LARGE),
    )


def _agrees(page: Mapping[str, Any], number: int) -> bool:
    """Whether a total is right: exact, or short of the number and said to be capped."""
    return bool(page["total"] == number if page["total_is_exact"] else page["total"] < number)


def pages(run: Run) -> None:
    """Page 10,000 beside page 1, in turns; small stores have smaller pages."""
    settings = prepared(run)
    size = 50 if run.rows >= SMALLER else 5
    with serving(settings) as address, client(address) as http:
        first = {"limit": size}
        far = first | {"cursor": _cursor(http, size * (PAGE - 1))}
        near_ms, far_ms = [], []
        for _ in range(REPEATED):
            near_ms.append(milliseconds(lambda: http.get(MAPPINGS, params=first)))
            far_ms.append(milliseconds(lambda: http.get(MAPPINGS, params=far)))
    run.results.add(
        f"page {PAGE:,} of {size}, p50",
        spread(far_ms),
        f"page 1 {spread(near_ms)}",
        percentile(far_ms, 50) / percentile(near_ms, 50),
        Goal("at most", 1.5, " x"),
    )


def analytics(run: Run) -> None:
    """The page of counts and trends beside the same over 100,000 rows."""
    own = _analytics(prepared(run))
    peer = own if run.rows == SMALL else _analytics(prepared(run.sized(SMALL)))
    run.results.add(
        "analytics beside 100,000 rows, p50",
        spread(own),
        f"at {SMALL:,} rows {spread(peer)}",
        percentile(own, 50) / percentile(peer, 50),
        Goal("at most", 1.2, " x"),
    )
    worst = percentile(own, 95)
    run.results.add("analytics, p95 ms", spread(own), "", worst, Goal("at most", 10, " ms"))


def _analytics(settings: Settings) -> list[float]:
    with serving(settings) as address, client(address) as http:
        taken = [milliseconds(lambda: http.get(ANALYTICS)) for _ in range(REPEATED + 10)]
    return taken[10:]


def _asked(settings: Settings, limit: int) -> tuple[list[float], list[dict[str, Any]]]:
    """Return milliseconds and answers of the same searches in the same order."""
    with opened(settings) as database, database.read() as session:
        asked = searches(session, ASKED, SEED)
        warm = searches(session, 16, SEED + 1)
    with serving(settings) as address, client(address) as http:
        for one in warm:
            _page(http, one.params(limit))
        done = [timed(lambda one=one: _page(http, one.params(limit))) for one in asked]  # type: ignore[misc]
    return [1000 * seconds for _, seconds in done], [page for page, _ in done]


def _page(http: httpx.Client, params: Mapping[str, str | int]) -> dict[str, Any]:
    return dict(http.get(MAPPINGS, params=params).raise_for_status().json())


def _cursor(http: httpx.Client, after: int) -> str:
    """Go through the list as fast as it allows and return the cursor behind so many rows."""
    cursor: str | None = None
    while after:
        step = min(1000, after)
        params = {"limit": step} | ({"cursor": cursor} if cursor else {})
        cursor = _page(http, params)["next_cursor"]
        after -= step
    if cursor is None:
        raise RuntimeError("the list has no such page")
    return cursor


def _scanned(
    settings: Settings, columns: str, limit: int | None
) -> tuple[list[float], list[list[Any]]]:
    """Return milliseconds and rows of every fifth of the same searches without an index."""
    with opened(settings) as database, database.read() as session:
        asked = searches(session, ASKED, SEED)[::SCANNED_EACH]
        for one in searches(session, 2, SEED + 1):
            _scan(session, one, columns, limit)
        done = [timed(lambda one=one: _scan(session, one, columns, limit)) for one in asked]  # type: ignore[misc]
    return [1000 * seconds for _, seconds in done], [rows for rows, _ in done]


def _scan(session: Session, asked: Search, columns: str, limit: int | None) -> list[Any]:
    """What one would write without a search index: every word somewhere in the text."""
    conditions = [f"normalized LIKE :word_{number}" for number in range(len(asked.q.split()))]
    conditions += [FILTERED[name] for name in asked.filters]
    values = {f"word_{number}": f"%{word}%" for number, word in enumerate(asked.q.split())}
    order = "" if limit is None else f"ORDER BY id DESC LIMIT {limit}"
    query = f"SELECT {columns} FROM mappings WHERE {' AND '.join(conditions)} {order}"  # noqa: S608
    return list(session.execute(text(query), values | asked.filters))


FILTERED = {
    "status": "status = :status",
    "source": "source = :source",
    "target": "coalesce(target_id, proposed_target_id) = "
    "(SELECT id FROM targets WHERE key = :target)",
}
