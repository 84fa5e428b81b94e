"""The dashboard in a real browser: event to pixel, first paint, and pages as the store grows.

    python benchmarks/dashboard.py --rows 5000000 --home FOLDER --out FILE

`pixel`: from the time an event says it happened to its offset on the overview of another browser.
`paint`: first contentful paint of the overview on loopback and what was transferred, with nothing
in the browser's cache and with all of it. `pages`: every page as the server builds it, in a store
of 10,000 rows and in one of `--rows`. Stores are those of `llm_center.py` in the same home.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shutil import which
from statistics import median

import httpx
import numpy as np
from center.loading import Run, prepared
from center.results import Results
from center.serving import MAPPINGS, client, milliseconds, started
from center.stores import stores
from playwright.sync_api import BrowserContext, Page
from screen import SESSION, browser, sign_in, signed_in

from llm_pipeline.api.auth import COOKIE
from llm_pipeline.dashboard.mount import PAGES

MODULE = "llm_pipeline.dashboard"
SMALL = 10_000
SENT = 100
TIMES = 15
# Writes down when each offset is first shown.
WATCH = """() => {
  window.seen = [];
  const shown = () => Number(document.querySelector("header.head a").innerText.replace(/\\D/g, ""));
  const note = () => window.seen.push([shown(), Date.now()]);
  new MutationObserver(note).observe(document.body,
    { subtree: true, childList: true, characterData: true });
}"""
PAINT = """() => {
  const all = performance.getEntriesByType("resource").concat(
    performance.getEntriesByType("navigation"));
  const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  return [painted, all.reduce((sum, one) => sum + one.transferSize, 0)];
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="pixel,paint,pages", help="of pixel, paint, pages")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--browser", default=which("chromium"), help="path of Chromium")
    parser.add_argument("--home", type=Path, required=True, help="where the stores are kept")
    parser.add_argument("--out", type=Path, required=True, help="file that lines are added to")
    given = parser.parse_args()
    parts: dict[str, Callable[[Run, str], str]] = {"pixel": pixel, "paint": paint, "pages": pages}
    with stores(given.home, "sqlite") as found, given.out.open("a") as out:
        run = Run(found, given.rows, Results(given.home, "sqlite", given.rows))
        for part in given.only.split(","):
            told = parts[part](run, given.browser)
            print(told)
            out.write(told + "\n")


@contextmanager
def _running(run: Run) -> Iterator[str]:
    """The dashboard over a copy of the prepared store, with somebody signed in."""
    prepared(run)
    with run.stores.copied(run.name, "shown") as settings:
        sign_in(settings)
        with started(settings, MODULE) as (address, _process):
            yield address


def _opened(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/")
    page.wait_for_selector("#boot", state="detached")
    return page


def pixel(run: Run, browser_path: str) -> str:
    with (
        _running(run.sized(SMALL)) as address,
        browser(browser_path) as chromium,
        signed_in(chromium, address) as context,
        client(address) as http,
    ):
        page = _opened(context)
        page.evaluate(WATCH)
        happened = [_happened(http, n) for n in range(SENT)]
        time.sleep(2)
        seen = [(int(offset), at / 1000) for offset, at in page.evaluate("() => window.seen")]
    delays = [min(at for shown, at in seen if shown >= o) - began for o, began in happened]
    return f"| event to pixel on another browser, {SENT} events | {_spread(delays)} | p95 300 ms |"


def _happened(http: httpx.Client, number: int) -> tuple[int, float]:
    """Submit a text, and return the offset of its event and when it says that it happened."""
    body = {"text": f"pixel {time.time_ns()} {number}"}
    http.post(MAPPINGS, json=body).raise_for_status()
    (newest,) = http.get("/api/llm-data/events", params={"limit": 1}).json()["items"]
    # No multiple of the time for which pages rest after a change.
    time.sleep(0.37)
    return int(newest["offset"]), datetime.fromisoformat(newest["at"]).timestamp()


def _spread(seconds: list[float]) -> str:
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return f"p50 {p50:,.0f}, p95 {p95:,.0f}, longest {max(seconds) * 1000:,.0f} ms"


@dataclass(frozen=True, slots=True)
class Painted:
    """Milliseconds to the first contentful paint, and the kilobytes that were transferred."""

    milliseconds: float
    kilobytes: float


def paint(run: Run, browser_path: str) -> str:
    cold, warm = [], []
    with _running(run.sized(SMALL)) as address, browser(browser_path) as chromium:
        for _ in range(TIMES):
            with signed_in(chromium, address) as context:
                cold.append(_painted(context))
                warm.append(_painted(context))
    return "\n".join(
        f"| first paint of the overview, {name} | median "
        f"{median(one.milliseconds for one in some):,.0f}, longest "
        f"{max(one.milliseconds for one in some):,.0f} ms; "
        f"{median(one.kilobytes for one in some):,.0f} KB | 1,000 ms, 2,000 KB |"
        for name, some in (("nothing cached", cold), ("cached", warm))
    )


def _painted(context: BrowserContext) -> Painted:
    page = _opened(context)
    painted, transferred = page.evaluate(PAINT)
    page.close()
    return Painted(painted, transferred / 1000)


def pages(run: Run, _browser_path: str) -> str:
    small, large = (_built(run.sized(rows)) for rows in (SMALL, run.rows))
    lines = [
        f"| {path} at {run.rows:,} rows | {large[path]:.0f} ms, at {SMALL:,} {small[path]:.0f} ms, "
        f"{large[path] / small[path]:.2f} x | 1.3 x |"
        for path in PAGES
    ]
    return "\n".join(lines)


def _built(run: Run) -> dict[str, float]:
    """Median milliseconds of each page, all pages in turn."""
    with _running(run) as address, httpx.Client(base_url=address, timeout=600) as http:
        http.cookies.set(COOKIE, SESSION)
        took = [milliseconds(lambda p=path: http.get(p)) for _ in range(TIMES) for path in PAGES]
    # The first two rounds fill caches.
    usual = np.median(np.reshape(took, (TIMES, len(PAGES)))[2:], axis=0)
    return dict(zip(PAGES, usual.tolist(), strict=True))


if __name__ == "__main__":
    main()
