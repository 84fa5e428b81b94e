"""A browser in which somebody is signed in; and the page `/data` as they have it open while things
happen: what it says, and when.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from center.stores import PEOPLE, opened
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from llm_pipeline.api.auth import COOKIE
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Role
from llm_pipeline.store import credentials
from llm_pipeline.wiring import now

SESSION = "screen-session"
LOOK_SECONDS = 0.2
# What lies over the page while its server does not answer, and what each card of a component says.
SAID = """() => {
  const over = document.querySelector("#popup");
  const lost = over && over.getAttribute("aria-hidden") === "false" ? over.innerText : "";
  const line = (text) => text.replace(/\\s+/g, " ").trim();
  const cards = [...document.querySelectorAll(".health > div")].map((card) => [card.dataset.key,
    line(card.querySelector("h2").innerText + ": " + card.querySelector("p").innerText)]);
  return [line(lost), Object.fromEntries(cards)];
}"""


@dataclass(frozen=True)
class Said:
    """What the page said at a time: over everything, and of each component."""

    at: float
    lost: str
    components: dict[str, str]


class Screen:
    """Looks at the page in a thread of its own, and keeps what changed on it."""

    def __init__(self, address: str, browser: str) -> None:
        self.said: list[Said] = []
        self._address = address
        self._browser = browser
        self._over = threading.Event()

    @contextmanager
    def open(self) -> Iterator["Screen"]:
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _look(self) -> None:
        with browser(self._browser) as chromium, signed_in(chromium, self._address) as context:
            page = context.new_page()
            page.goto("/data")
            while not self._over.wait(LOOK_SECONDS):
                self._note(page)

    def _note(self, page: Page) -> None:
        try:
            lost, components = page.evaluate(SAID)
        except Error:  # the page loads itself again
            return
        if not self.said or (self.said[-1].lost, self.said[-1].components) != (lost, components):
            self.said.append(Said(time.monotonic(), lost, components))


@contextmanager
def browser(path: str) -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        launched = playwright.chromium.launch(executable_path=path, args=options)
        yield launched
        launched.close()


@contextmanager
def signed_in(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """A browser's window in which somebody is signed in."""
    with browser.new_context(base_url=address) as context:
        context.add_cookies([{"name": COOKIE, "value": SESSION, "url": address}])
        yield context


def sign_in(settings: Settings) -> None:
    """Let the browser in, as somebody who has opened a sign-in link."""
    with opened(settings) as database, database.begin() as session:
        who = credentials.Identity(PEOPLE[0], Role.ADMIN)
        credentials.add(session, "session", SESSION, who, now(), now() + timedelta(hours=8))
