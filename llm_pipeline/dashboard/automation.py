"""Automatic approval: the bound, what it rests on, what stops it, and the texts to audit."""

from collections.abc import Mapping

from markupsafe import Markup

from llm_pipeline.api import automation as routes
from llm_pipeline.api.automation_schemas import AuditAnswer, NewPolicy
from llm_pipeline.dashboard import choosing
from llm_pipeline.dashboard.panel import Act, number_in
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import InvalidInput
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
# What an admin can do here, and what is said when it is done.
STEERED = {
    "bound": "the bound is set, and the policy fitted to it",
    "stop": "automatic approval is stopped",
    "resume": "automatic approval goes on",
}


class Automation:
    """How automatic approval stands, and the audit that is being answered."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._asked = ""  # the id of an audit, or the name of what an admin is about to do
        self._waiting: dict[str, audits.OpenAudit] = {}
        self._q = ""  # what was typed to find the audit's target

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html(), self.heard)
        self._dialog = self._sheet.panel(Markup(""), self.heard)

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            self._shown.show(await self._html())

    async def heard(self, act: Act) -> None:
        if act.do in ("ask", "close"):
            self._asked, self._q = act.arg if act.do == "ask" else "", ""
        elif (audit := number_in(self._asked)) is not None:
            await self._audit(audit, act)
        elif act.do == "steer" and self._asked in STEERED:
            await self._steer(_order(self._asked, act.form), STEERED[self._asked])
        self._shown.show(await self._html())
        self._dialog.show(await self._choices())

    async def _audit(self, audit_id: int, act: Act) -> None:
        if act.do in ("look", "pick"):
            self._q = choosing.words(act)
        first = await choosing.first(self._sheet, self._q) if act.do == "pick" else None
        if first is not None or act.do in ("choose", "nothing"):
            await self._answer(audit_id, first or (act.arg[:500] if act.do == "choose" else ""))

    async def _choices(self) -> Markup:
        asked = self._waiting.get(self._asked)
        if asked is None:
            return Markup("")
        found = choosing.Asked(asked.text, self._q, may_be_nothing=True)
        return await choosing.dialog(self._sheet, found)

    async def _answer(self, audit_id: int, target: str) -> None:
        await self._sheet.do(
            Role.REVIEWER,
            "answering audits",
            lambda caller: routes.post_audit(
                self._sheet.services, caller, audit_id, AuditAnswer(target=target or None)
            ),
        )
        self._asked = self._q = ""
        self._sheet.tell("thank you: the audit is answered")

    async def _steer(self, order: NewPolicy, done: str) -> None:
        await self._sheet.do(
            Role.ADMIN,
            "setting the policy",
            lambda caller: routes.put_policy(self._sheet.services, caller, order),
        )
        self._asked = ""
        self._sheet.tell(done)

    async def _html(self) -> Markup:
        user, may, asked = self._sheet.caller.user, self._sheet.may(Role.REVIEWER), self._asked
        steers = self._sheet.may(Role.ADMIN)

        def look(session: Session) -> Markup:
            waiting = audits.open_for(session, user, 0, SHOWN) if may else []
            self._waiting = {str(one.id): one for one in waiting}
            return rendered(
                "automation.html",
                standing=routes.standing(session),
                stops=breaker.history(session, SHOWN),
                waiting=waiting,
                steered=asked if asked in STEERED else "",
                may=may,
                steers=steers,
            )

        return await self._sheet.read(look)


def _order(what: str, form: Mapping[str, str]) -> NewPolicy:
    reason = form.get("reason", "").strip()[:500]
    if what != "bound":
        return NewPolicy(stop=what == "stop", resume=what == "resume", reason=reason)
    return NewPolicy(
        max_error=_share(form, "max_error", "wrong at most"),
        confidence=_share(form, "confidence", "confidence"),
        reason=reason,
    )


def _share(form: Mapping[str, str], name: str, label: str) -> float:
    """Read a percentage that a person wrote; raises InvalidInput."""
    written = form.get(name, "").strip().removesuffix("%").replace(",", ".")
    try:
        share = float(written) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InvalidInput(f"{label}: {written or 'nothing'!r} is no percentage above 0, below 100")
    return share
