"""Quality gates: what each suite said last, with the rows that failed, and over time."""

from markupsafe import Markup

from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.store import quality, state
from llm_pipeline.store.engine import Session

HISTORY = 30


class Gates:
    """The gates, and the history of the one that is looked at."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._suite = sheet.query.get("suite", "")[:100].replace("\x00", "")

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html())

    async def beat(self, new: Beat) -> None:
        if "gate:checked" in new.names:
            self._shown.show(await self._html())

    async def _html(self) -> Markup:
        def look(session: Session) -> Markup:
            newest = state.latest_gates(session)
            suite = self._suite or (newest[0].suite if newest else "")
            history = quality.gate_history(session, suite, HISTORY)
            return rendered("gates.html", newest=newest, suite=suite, history=history)

        return await self._sheet.read(look)
