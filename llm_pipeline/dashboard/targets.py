"""Targets: the catalogue, searched; entries added, merged and retired with the impact shown."""

from markupsafe import Markup
from pydantic import ValidationError

from llm_pipeline.api import targets as routes
from llm_pipeline.api import targets_leaving as leaving
from llm_pipeline.api.schemas import NewTarget
from llm_pipeline.api.targets_leaving import ImpactOut, Leave, Restore
from llm_pipeline.dashboard.panel import TARGETS, Act
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import catalogue, state
from llm_pipeline.store.engine import Session

PER_PAGE = 50
_OURS = {"catalogue:loaded", "target:retired", "target:restored", "mappings:moved"}


class Targets:
    """The catalogue as one browser looks at it."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._q = sheet.query.get("q", "")[:200].replace("\x00", "")
        self._after = ""

    async def open(self) -> None:
        sheet = self._sheet
        sheet.panel(rendered("targets_head.html", q=self._q, may=sheet.may(Role.ADMIN)), self.heard)
        if sheet.may(Role.ADMIN):
            sheet.drop(routes.FILE_PATH, self.refresh, TARGETS)
        self._list = sheet.panel(await self._html(), self.heard)
        self._dialog = sheet.panel(Markup(""), self.heard)

    async def refresh(self) -> None:
        self._list.show(await self._html())

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            await self.refresh()

    async def heard(self, act: Act) -> None:
        if act.do == "look":
            self._q, self._after = act.form.get("q", "")[:200].replace("\x00", ""), ""
        elif act.do == "page":
            self._after = act.arg[:500]
        elif act.do == "add":
            await self._add(act.form)
        elif act.do in ("impact", "close"):
            self._dialog.show(await self._impact(act))
            return
        elif act.do == "leave":
            await self._leave(act)
        elif act.do == "restore":
            body = Restore(key=act.arg[:500])
            await self._sheet.do(
                Role.ADMIN,
                "restoring targets",
                lambda caller: leaving.post_restore(self._sheet.services, caller, body),
            )
        await self.refresh()

    async def _add(self, form: dict[str, str]) -> None:
        try:
            body = NewTarget.model_validate(
                {n: form.get(n, "") for n in ("key", "name", "category")}
            )
        except ValidationError as error:
            raise InvalidInput("a target needs a key and a name") from error
        known = await self._sheet.read(catalogue.names, [body.key])
        if body.key in known and "replace" not in form:
            raise InvalidInput(
                f"{body.key} is {known[body.key]} already: choose “change it if it is there” to "
                "give it this name and category"
            )
        done = await self._sheet.do(
            Role.ADMIN,
            "changing the catalogue",
            lambda caller: routes.post_targets(self._sheet.services, caller, body),
        )
        self._sheet.tell(f"{body.key} was {'added' if done.created else 'changed'}")

    async def _impact(self, act: Act) -> Markup:
        if act.do == "close":
            return Markup("")

        def look(caller: object) -> ImpactOut:
            return leaving.get_impact(self._sheet.services, self._sheet.caller, act.arg[:500])

        found = await self._sheet.do(Role.ADMIN, "retiring targets", look)
        return rendered("impact.html", found=found)

    async def _leave(self, act: Act) -> None:
        body = Leave(
            key=act.arg[:500],
            into=act.form.get("into", "").strip()[:500] or None,
            token=act.form.get("token", "")[:500],
            reason=act.form.get("reason", "")[:500],
        )
        done = await self._sheet.do(
            Role.ADMIN,
            "retiring targets",
            lambda caller: leaving.post_retire(self._sheet.services, caller, body),
        )
        self._dialog.show(Markup(""))
        self._sheet.tell(
            f"{body.key} is retired: {done.moved} mappings moved, {done.reopened} wait"
        )

    async def _html(self) -> Markup:
        def look(session: Session) -> Markup:
            found = catalogue.page(session, self._q, self._after, PER_PAGE + 1)
            return rendered(
                "targets.html",
                found=found[:PER_PAGE],
                following=found[PER_PAGE - 1].key if len(found) > PER_PAGE else None,
                later=bool(self._after),
                total=state.target_count(session, self._q),
                q=self._q,
                may=self._sheet.may(Role.ADMIN),
            )

        return await self._sheet.read(look)
