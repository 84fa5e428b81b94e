"""Automatic approval: the bound, what it rests on, what stops it, and the texts to audit."""

from markupsafe import Markup

from llm_pipeline.api import automation as routes
from llm_pipeline.api.automation_schemas import AuditAnswer
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.store import audits, breaker
from llm_pipeline.store.engine import Session

SHOWN = 20
_OURS = {
    "policy:fitted",
    "mapping:auto_approved",
    "audit:drawn",
    "audit:answered",
    "audit:held",
    "automation:stopped",
    "automation:resumed",
}


class Automation:
    """How automatic approval stands, and the audit that is being answered."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._asked = 0

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html(), self.heard)

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            self._shown.show(await self._html())

    async def heard(self, act: Act) -> None:
        if act.do in ("ask", "close"):
            self._asked = int(act.arg) if act.do == "ask" and act.arg.isdecimal() else 0
        elif act.do == "answer":
            target = act.form.get("target", "").strip()[:500]
            audit_id = self._asked
            await self._sheet.do(
                Role.REVIEWER,
                "answering audits",
                lambda caller: routes.post_audit(
                    self._sheet.services, caller, audit_id, AuditAnswer(target=target or None)
                ),
            )
            self._asked = 0
            self._sheet.tell("thank you: the audit is answered")
        self._shown.show(await self._html())

    async def _html(self) -> Markup:
        user, may, asked = self._sheet.caller.user, self._sheet.may(Role.REVIEWER), self._asked

        def look(session: Session) -> Markup:
            waiting = audits.open_for(session, user, 0, SHOWN) if may else []
            return rendered(
                "automation.html",
                standing=routes.standing(session),
                stops=breaker.history(session, SHOWN),
                waiting=waiting,
                asked=next((one for one in waiting if one.id == asked), None),
                may=may,
            )

        return await self._sheet.read(look)
