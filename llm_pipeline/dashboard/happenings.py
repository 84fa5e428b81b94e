"""Events: the log itself, newest first, by name, with all facts of each."""

from markupsafe import Markup

from llm_pipeline.dashboard.panel import Act, number_in
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.dashboard.telling import told
from llm_pipeline.domain.events import EVENTS
from llm_pipeline.store import log
from llm_pipeline.store.engine import Session

PER_PAGE = 50


class Happenings:
    """A page of the log."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._name = sheet.query.get("name", "")
        self._at = number_in(sheet.query.get("at", ""))
        self._before = None if self._at is None else self._at + 1

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html(), self.heard)

    async def beat(self, _new: Beat) -> None:
        if self._before is None:
            self._shown.show(await self._html())

    async def heard(self, act: Act) -> None:
        if act.do == "name":
            self._name, self._before = act.form.get("name", ""), None
        elif act.do == "page":
            self._before = act.number
        self._shown.show(await self._html())

    async def _html(self) -> Markup:
        names = (self._name,) if self._name in EVENTS else ()

        def look(session: Session) -> Markup:
            found = log.newest(session, PER_PAGE + 1, self._before, names)
            return rendered(
                "events.html",
                found=list(zip(found[:PER_PAGE], told(found[:PER_PAGE]), strict=True)),
                following=found[PER_PAGE - 1].offset if len(found) > PER_PAGE else None,
                later=self._before is not None,
                at=self._at,
                name=self._name,
                names=sorted(EVENTS),
            )

        return await self._sheet.read(look)
