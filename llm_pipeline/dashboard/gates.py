"""Quality gates: what each suite said last, the rows that failed, figures over time, the report."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from llm_pipeline.api.paging import cursor_of, row_position
from llm_pipeline.dashboard.panel import number_in
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import moment_label, rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.gate import LISTED
from llm_pipeline.errors import InvalidInput
from llm_pipeline.gates.suites import FIGURES, limits
from llm_pipeline.store import failing_rows, quality, state
from llm_pipeline.store.engine import Session
from llm_pipeline.store.quality import StoredGateResult

HISTORY, REPORTS, ROWS = 30, 14, 50
_OURS = {"gate:checked", "report:written"}


class Gates:
    """The gates, and the history of the one that is looked at."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._suite = sheet.query.get("suite", "")[:100].replace("\x00", "")
        self._result = number_in(sheet.query.get("result", ""))
        try:
            self._after = row_position(sheet.query.get("rows"))
        except InvalidInput:
            self._after = None

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html())

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            self._shown.show(await self._html())

    async def _html(self) -> Markup:
        def look(session: Session) -> Markup:
            newest = state.latest_gates(session)
            # A failing one first, of those that are not asked for by name.
            by_need = sorted(newest, key=lambda one: one.success)
            suite = self._suite or (by_need[0].suite if by_need else "")
            history = quality.gate_history(session, suite, HISTORY)
            reports = quality.report_page(session, "quality", None, REPORTS)
            return rendered(
                "gates.html",
                newest=newest,
                suite=suite,
                history=history,
                checked=[moment_label(one.checked_at) for one in reversed(history)],
                failing=list(reversed([_failing(one) for one in history])),
                figures=_figures(suite, history),
                rows=_rows(session, suite, self._result, self._after, history),
                report=reports[0] if reports else None,
                reports=reports,
                most=LISTED,
            )

        return await self._sheet.read(look)


def _failing(result: StoredGateResult) -> int:
    return sum(failure.get("failing") or 0 for failure in result.failures)


def _figures(suite: str, history: Sequence[StoredGateResult]) -> list[dict[str, Any]]:
    """Each figure as it is now, what it may be, and how it was."""
    own = [one for one in history if one.figures]
    if suite not in FIGURES or not own:
        return []
    return [
        {
            "name": name,
            "value": own[0].figures.get(name),
            "limits": "; ".join(told),
            "was": [one.figures.get(name) for one in reversed(own)],
            "labels": [moment_label(one.checked_at) for one in reversed(own)],
        }
        for name, told in limits(suite).items()
    ]


def _rows(
    session: Session,
    suite: str,
    result_id: int | None,
    after: int | None,
    history: Sequence[StoredGateResult],
) -> dict[str, Any] | None:
    """A page of the rows that a result named: the one asked for, else the newest that names any."""
    known = {one.id for one in history}
    chosen = result_id if result_id in known else failing_rows.named(session, suite)
    if chosen is None:
        return None
    found = failing_rows.page(session, chosen, after, ROWS + 1)
    more = cursor_of(found[ROWS - 1].id) if len(found) > ROWS else None
    total = failing_rows.count(session, chosen)
    return {"result": chosen, "items": found[:ROWS], "more": more, "total": total, "after": after}
