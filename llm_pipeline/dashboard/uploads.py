"""Uploads: files dropped in, how far each is, rows set aside; and single texts."""

from markupsafe import Markup
from starlette.responses import Response

from llm_pipeline.api import center as center_routes
from llm_pipeline.api import uploads as routes
from llm_pipeline.api.schemas import NewMapping, SubmittedMapping
from llm_pipeline.api.uploads import PATH, UploadOut
from llm_pipeline.dashboard.panel import ROWS, Act, number_in
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Role
from llm_pipeline.store import state, uploads
from llm_pipeline.store.engine import Session

PER_PAGE = 25
REJECTED_SHOWN = 8
_OURS = {"upload:started", "upload:finished", "upload:cancelled", "submission:received"}


class Uploads:
    """The list of files as one browser looks at it."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._before: int | None = None
        self._chosen = number_in(sheet.query.get("upload", ""))

    async def open(self) -> None:
        sheet = self._sheet
        may = sheet.may(Role.SUBMITTER)
        sheet.panel(rendered("uploads_head.html"))
        if may:
            sheet.drop(PATH, self.refresh, ROWS)
            self._single = sheet.panel(self._form(None), self.heard)
        self._list = sheet.panel(await self._html(), self.heard)

    async def refresh(self) -> None:
        self._list.show(await self._html())

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            await self.refresh()

    async def heard(self, act: Act) -> None:
        if act.do == "submit":
            await self._submit(act)
        elif act.do == "cancel" and (number := act.number) is not None:
            await self._sheet.do(
                Role.SUBMITTER,
                "uploading",
                lambda caller: routes.post_cancel(self._sheet.services, caller, number),
            )
        elif act.do == "page":
            self._before = act.number
        elif act.do == "look":
            self._chosen = None if self._chosen == act.number else act.number
        await self.refresh()

    async def _submit(self, act: Act) -> None:
        text, target = act.form.get("text", ""), act.form.get("target", "").strip()
        body = NewMapping(
            text=text, target=target[:500] or None, note=act.form.get("note", "")[:500]
        )
        done = await self._sheet.do(
            Role.SUBMITTER,
            "submitting",
            lambda caller: center_routes.submit_mapping(
                self._sheet.services, caller, body, Response()
            ),
        )
        self._single.show(self._form(done))

    def _form(self, done: SubmittedMapping | None) -> Markup:
        return rendered("submit.html", done=done)

    async def _html(self) -> Markup:
        def look(session: Session) -> Markup:
            found = state.upload_page(session, self._before, PER_PAGE + 1)
            rejected = (
                uploads.rejected(session, self._chosen, 0, REJECTED_SHOWN) if self._chosen else []
            )
            return rendered(
                "uploads.html",
                files=[UploadOut.of(one) for one in found[:PER_PAGE]],
                following=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
                later=self._before is not None,
                chosen=self._chosen,
                rejected=rejected,
                may=self._sheet.may(Role.SUBMITTER),
            )

        return await self._sheet.read(look)
