"""One mapping in a dialog: its whole life, and for reviewers its decisions."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from llm_pipeline.api import center as routes
from llm_pipeline.api import plans as plan_routes
from llm_pipeline.api.auth import Caller
from llm_pipeline.api.center import NEWEST_SUBMISSIONS
from llm_pipeline.api.plan_schemas import NewPlan, PlanPreview
from llm_pipeline.api.schemas import DecidedMapping, LikeIt, NewDecision
from llm_pipeline.dashboard import choosing
from llm_pipeline.dashboard.panel import Act, number_in
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import LIVE, Action, Role, Status
from llm_pipeline.errors import Conflict, NotFound
from llm_pipeline.store import catalogue, history, mappings
from llm_pipeline.store.engine import Session

_SAID = {
    Action.APPROVE: "approved as",
    Action.CORRECT: "corrected to",
    Action.REJECT: "rejected",
    Action.REOPEN: "waits again",
    Action.UNDO: "undone: it is",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A mapping as its reader sees it, which is what they decide about."""

    stored: mappings.StoredMapping
    asked: choosing.Asked | None = None
    like_it: LikeIt | None = None

    @property
    def offered(self) -> str | None:
        """What approving would mean."""
        waits = self.stored.status is Status.PENDING
        return (self.stored.proposed_target or self.stored.suggested_target) if waits else None


class Mapping:
    """The mapping that a browser looks at, or none; `decided` is called after each decision."""

    def __init__(self, sheet: Sheet, decided: Callable[[], Awaitable[None]]) -> None:
        self._sheet = sheet
        self._decided = decided
        self._seen: Seen | None = None

    async def open(self) -> None:
        await self._look(number_in(self._sheet.query.get("mapping", "")))
        self._shown = self._sheet.panel(await self._html(), self.heard)

    async def show(self, mapping_id: str) -> None:
        await self._look(number_in(mapping_id))
        self._shown.show(await self._html())

    async def heard(self, act: Act) -> None:
        seen = self._seen
        if seen is None:
            return
        try:
            await self._do(seen, act)
        except (Conflict, NotFound) as error:
            self._sheet.tell(str(error), "bad")
            await self._look(seen.stored.id)
        self._shown.show(await self._html())

    async def _do(self, seen: Seen, act: Act) -> None:
        if act.do in (Action.APPROVE, Action.REJECT, Action.REOPEN, Action.UNDO):
            await self._decide(seen.stored, Action(act.do), None)
        elif act.do == "correct":
            self._seen = replace(seen, asked=choosing.Asked(seen.stored.text, ""))
        elif act.do == "alike" and seen.like_it is not None:
            await self._plan(seen.like_it)
        elif act.do == "close":
            self._seen = None if seen.asked is None else replace(seen, asked=None)
        elif seen.asked is not None:
            await self._chosen(seen, act)

    async def _chosen(self, seen: Seen, act: Act) -> None:
        """Hear what a person does in the dialog that asks for a target."""
        if act.do == "look":
            asked = choosing.Asked(seen.stored.text, choosing.words(act))
            self._seen = replace(seen, asked=asked)
        elif act.do == "pick":
            first = await choosing.first(self._sheet, choosing.words(act))
            if first is not None:
                await self._choose(seen, first)
        elif act.do == "choose":
            await self._choose(seen, act.arg[:500])

    async def _choose(self, seen: Seen, key: str) -> None:
        """Decide for a target: for the one that is offered, that is an approval."""
        action = Action.APPROVE if key == seen.offered else Action.CORRECT
        await self._decide(seen.stored, action, key)

    async def _decide(
        self, stored: mappings.StoredMapping, action: Action, target: str | None
    ) -> None:
        body = NewDecision(action=action, version=stored.version, target=target)

        def decide(caller: Caller) -> DecidedMapping:
            return routes.decide_mapping(self._sheet.services, caller, stored.id, body)

        done = await self._sheet.do(Role.REVIEWER, "reviewing", decide)
        await self._look(stored.id, done.like_it)
        told = {Action.UNDO: done.status.value.replace("_", " ")}.get(action, done.target or "")
        self._sheet.tell(f"{stored.text[:60]}: {_SAID[action]} {told}".strip())
        await self._decided()

    async def _plan(self, like_it: LikeIt) -> None:
        body = NewPlan.model_validate(like_it.plan)

        def plan(caller: Caller) -> PlanPreview:
            return plan_routes.post_plan(self._sheet.services, caller, body)

        made = await self._sheet.do(Role.REVIEWER, "planning", plan)
        self._sheet.go(f"/plans?plan={made.id}")

    async def _look(self, mapping_id: int | None, like_it: LikeIt | None = None) -> None:
        self._seen = None
        if mapping_id is None:
            return
        try:
            self._seen = Seen(await self._sheet.read(mappings.get, mapping_id), like_it=like_it)
        except NotFound as error:
            self._sheet.tell(str(error), "bad")

    async def _html(self) -> Markup:
        seen = self._seen
        if seen is None:
            return Markup("")
        one = seen.stored

        def look(session: Session) -> Markup:
            decided = history.decided(session, one.id)
            proposals = history.proposals(session, one.id)
            keys = {one.target, one.suggested_target, *proposals}
            return rendered(
                "mapping.html",
                one=one,
                seen=seen,
                decided=decided,
                names=catalogue.names(session, sorted(key for key in keys if key)),
                spans=history.spans(session, one.id),
                submitted=history.submitted(session, one.id, NEWEST_SUBMISSIONS),
                proposals=proposals,
                may=self._sheet.may(Role.REVIEWER),
                live=one.status in LIVE,
                undoable=_undoable(decided),
            )

        html = await self._sheet.read(look)
        if seen.asked is None:
            return html
        return html + await choosing.dialog(self._sheet, seen.asked)


def _undoable(decided: list[dict[str, Any]]) -> bool:
    taken_back = {one["undoes"] for one in decided}
    return any(one["undoes"] is None and one["decision_id"] not in taken_back for one in decided)
