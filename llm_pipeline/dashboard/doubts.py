"""Label errors: approved labels that the rest of the data speaks against, for a person."""

from markupsafe import Markup

from llm_pipeline.api import center, label_errors
from llm_pipeline.api.schemas import NewDecision
from llm_pipeline.dashboard.panel import Act, number_in
from llm_pipeline.dashboard.pulse import Beat
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Action, Role
from llm_pipeline.errors import InvalidInput
from llm_pipeline.store import catalogue
from llm_pipeline.store import label_errors as doubts
from llm_pipeline.store.engine import Session

PER_PAGE = 20
_OURS = {"labels:doubted", "label:upheld", "review:decided"}


class Doubts:
    """The list of doubts as one browser looks at it."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._after = 0

    async def open(self) -> None:
        self._shown = self._sheet.panel(await self._html(), self.heard)

    async def beat(self, new: Beat) -> None:
        if new.names & _OURS:
            self._shown.show(await self._html())

    async def heard(self, act: Act) -> None:
        if act.do == "page":
            self._after = act.number or 0
        elif act.do == "keep" and (number := act.number) is not None:
            await self._sheet.do(
                Role.REVIEWER,
                "reviewing labels",
                lambda caller: label_errors.dismiss_label_error(
                    self._sheet.services, caller, number
                ),
            )
            self._sheet.tell("kept; it is not listed again while the label stays")
        elif act.do == "correct":
            await self._correct(act.arg)
        self._shown.show(await self._html())

    async def _correct(self, arg: str) -> None:
        which, _, rest = arg.partition(":")
        seen, _, target = rest.partition(":")
        mapping_id, version = number_in(which), number_in(seen)
        if mapping_id is None or version is None:
            raise InvalidInput("this doubt is not complete; load the page again")
        body = NewDecision(
            action=Action.CORRECT, version=version, target=target, reason="label in doubt"
        )
        await self._sheet.do(
            Role.REVIEWER,
            "correcting labels",
            lambda caller: center.decide_mapping(self._sheet.services, caller, mapping_id, body),
        )
        self._sheet.tell(f"corrected to {target}")

    async def _html(self) -> Markup:
        def look(session: Session) -> Markup:
            found = doubts.page(session, self._after, PER_PAGE + 1)
            keys = {key for one in found for key in (one.target, one.suggested_target)}
            return rendered(
                "doubts.html",
                found=found[:PER_PAGE],
                following=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
                later=bool(self._after),
                total=doubts.count(session),
                names=catalogue.names(session, sorted(keys)),
                may=self._sheet.may(Role.REVIEWER),
            )

        return await self._sheet.read(look)
