"""Plans: one action over all that a filter matches, previewed, applied, taken back."""

from dataclasses import replace

from markupsafe import Markup
from pydantic import ValidationError

from llm_pipeline.api import plans as routes
from llm_pipeline.api.plan_schemas import NewPlan, PlanHash, PlanOut, PlanPreview
from llm_pipeline.dashboard.center import TABS, Asked
from llm_pipeline.dashboard.panel import Act, number_in
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import InvalidInput, NotFound
from llm_pipeline.store import plans
from llm_pipeline.store.engine import Session

ACTIONS = {
    "approve": "Approve",
    "correct": "Set a target",
    "reject": "Reject",
    "reopen": "Let wait again",
}
PER_PAGE = 20
_OURS = {"plan:previewed", "plan:applied", "plan:undone", "plan:stopped", "mappings:decided"}
_FILTER = ("q", "target", "category", "source", "submitter")


class Plans:
    """The plan somebody works on, and all others."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._asked = Asked.of(sheet.query)
        self._plan: PlanPreview | None = None

    async def open(self) -> None:
        sheet = self._sheet
        if sheet.may(Role.REVIEWER):
            self._form = sheet.panel(self._form_html(), self.heard)
        chosen = number_in(sheet.query.get("plan", ""))
        if chosen is not None:
            try:
                await self._one("look", chosen)
            except NotFound as error:
                sheet.tell(str(error), "bad")
        self._shown = sheet.panel(self._plan_html(), self.heard)
        self._list = sheet.panel(await self._list_html(), self.heard)

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            await self._refresh()

    async def heard(self, act: Act) -> None:
        if act.do == "preview":
            await self._preview(act.form)
        elif act.do == "forget":
            self._plan = None
        elif (number := act.number) is not None:
            await self._one(act.do, number)
        await self._refresh()

    async def _preview(self, form: dict[str, str]) -> None:
        self._asked = replace(Asked.of(form), status=form.get("status", "pending"))
        wanted = {name: form.get(name, "").strip() or None for name in _FILTER}
        wanted["q"] = wanted["q"] or ""
        status = None if form.get("status") == "all" else form.get("status")
        try:
            body = NewPlan.model_validate(
                {
                    "filter": {**wanted, "status": status, "upload": form.get("upload") or None},
                    "action": form.get("action"),
                    "target": form.get("to", "").strip() or None,
                    "reason": form.get("reason", ""),
                }
            )
        except ValidationError as error:
            raise InvalidInput("; ".join(one["msg"] for one in error.errors())) from error
        self._plan = await self._sheet.do(
            Role.REVIEWER,
            "planning",
            lambda caller: routes.post_plan(self._sheet.services, caller, body),
        )

    async def _one(self, what: str, plan_id: int) -> None:
        services, do = self._sheet.services, self._sheet.do
        if what == "look":
            self._plan = await do(
                Role.VIEWER, "plans", lambda caller: routes.get_plan(services, caller, plan_id)
            )
        elif what == "apply" and self._plan is not None:
            agreed = PlanHash(hash=self._plan.hash)
            await do(
                Role.REVIEWER,
                "applying plans",
                lambda caller: routes.post_apply(services, caller, plan_id, agreed),
            )
        elif what in ("undo", "cancel"):
            work = routes.post_undo if what == "undo" else routes.post_cancel
            await do(Role.REVIEWER, "undoing plans", lambda caller: work(services, caller, plan_id))

    async def _refresh(self) -> None:
        if self._plan is not None:
            plan_id = self._plan.id
            self._plan = await self._sheet.do(
                Role.VIEWER,
                "plans",
                lambda caller: routes.get_plan(self._sheet.services, caller, plan_id),
            )
        self._shown.show(self._plan_html())
        self._list.show(await self._list_html())

    def _plan_html(self) -> Markup:
        plan = self._plan
        may = self._sheet.may(Role.REVIEWER)
        return Markup("") if plan is None else rendered("plan.html", plan=plan, may=may)

    def _form_html(self) -> Markup:
        return rendered("plan_form.html", asked=self._asked, tabs=TABS, actions=ACTIONS)

    async def _list_html(self) -> Markup:
        def look(session: Session) -> Markup:
            found = [PlanOut.of(one) for one in plans.page(session, None, PER_PAGE)]
            return rendered("plans.html", plans=found, may=self._sheet.may(Role.REVIEWER))

        return await self._sheet.read(look)
