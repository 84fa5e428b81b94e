"""Review: one group of like texts after the other, decided by single keys or buttons.

A reviewer holds the group they look at, and decides about exactly what they saw; what somebody
else was faster with is said, and the next group comes.
"""

from dataclasses import dataclass, field

from markupsafe import Markup

from llm_pipeline.api import queue as routes
from llm_pipeline.api.auth import Caller
from llm_pipeline.api.queue_schemas import (
    GroupDecisionIn,
    GroupDecisionOut,
    GroupOut,
    LeasedOut,
    NewLease,
    Release,
)
from llm_pipeline.dashboard import choosing
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.pulse import Beat, Pulse
from llm_pipeline.dashboard.rendering import plural, rendered
from llm_pipeline.dashboard.sheet import Sheet
from llm_pipeline.domain.records import Action, Role
from llm_pipeline.domain.review import Order
from llm_pipeline.errors import Conflict, InvalidInput, NotFound
from llm_pipeline.store import activity, catalogue

KEYS = {
    "a": ("approve", "Approve what is offered"),
    "n": ("near", "The same, with the near groups"),
    "c": ("correct", "Choose another target"),
    "1": ("first", "Choose the first of the evidence; 2 and 3 likewise"),
    "r": ("reject", "Reject: it means nothing here"),
    "s": ("skip", "Skip for an hour"),
    "u": ("undo", "Undo the last decision"),
    "e": ("next", "Look at the next one, decide later"),
    "?": ("keys", "Show or hide these keys"),
}
ORDERS = {
    "value": "Most valuable first",
    "uncertain": "Least sure first",
    "oldest": "Oldest first",
    "random": "By lot",
}


@dataclass
class Desk:
    """What lies before a reviewer; `passed` are keys they chose to look at later."""

    order: Order = Order.VALUE
    held: list[GroupOut] = field(default_factory=list)
    today: dict[str, int] = field(default_factory=dict)
    done: list[GroupDecisionOut] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    choosing: bool = False
    q: str = ""
    show_keys: bool = True

    @property
    def group(self) -> GroupOut | None:
        return next((one for one in self.held if one.key not in self.passed), None)


class Review:
    """The desk of one reviewer, and what their keys do."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet
        self._desk = Desk(Order(_order(sheet.query.get("order", ""))))

    async def open(self) -> None:
        await self._lease()
        keys = [*KEYS, "2", "3", "Escape"]
        self._shown = self._sheet.panel(self._html(), self.heard, keys)
        self._dialog = self._sheet.panel(Markup(""), self.heard)

    async def beat(self, new: Beat) -> None:
        """An empty desk looks again when something came."""
        if self._desk.group is None and new.state.center.mappings["pending"]:
            await self._lease()
            self._shown.show(self._html())

    async def heard(self, act: Act) -> None:
        what = KEYS.get(act.arg, (act.arg, ""))[0] if act.do == "key" else act.do
        try:
            await self._do(what, act)
        except (Conflict, NotFound) as error:
            self._sheet.tell(str(error), "bad")
            await self._lease()
        self._shown.show(self._html())
        self._dialog.show(await self._choices())

    async def _do(self, what: str, act: Act) -> None:
        desk = self._desk
        if what in ("approve", "near", "reject", "skip"):
            action = Action.APPROVE if what == "near" else Action(what)
            await self._decide(action, near=what == "near")
        elif what == "undo":
            await self._undo()
        elif what == "next" and desk.group is not None:
            desk.passed.add(desk.group.key)
            await self._lease()
        elif what == "order":
            desk.order = Order(_order(act.form.get("order", "")))
            await self._release()
            await self._lease()
        elif what == "keys":
            desk.show_keys = not desk.show_keys
        elif act.do == "key" and act.arg in "123":
            await self._take(int(act.arg) - 1)
        else:
            await self._choose(what, act)

    async def _take(self, place: int) -> None:
        evidence = self._desk.group.evidence if self._desk.group else None
        if evidence is not None and place < len(evidence):
            await self._choose_target(evidence[place].target)

    async def _choose_target(self, key: str) -> None:
        """Decide for a target: for the one that is offered, that is an approval."""
        group = self._desk.group
        if group is not None and group.offered == key:
            await self._decide(Action.APPROVE)
        else:
            await self._decide(Action.CORRECT, target=key)

    async def _choose(self, what: str, act: Act) -> None:
        desk = self._desk
        if what == "correct":
            desk.choosing, desk.q = desk.group is not None, ""
        elif what == "look":
            desk.q = choosing.words(act)
        elif what == "pick":
            desk.q = choosing.words(act)
            first = await choosing.first(self._sheet, desk.q)
            if first is not None:
                desk.choosing = False
                await self._choose_target(first)
        elif what in ("close", "Escape"):
            desk.choosing = False
        elif what == "choose":
            desk.choosing = False
            await self._choose_target(act.arg[:500])

    async def _decide(
        self, action: Action, *, near: bool = False, target: str | None = None
    ) -> None:
        group = self._desk.group
        if group is None:
            return
        if action is Action.APPROVE and group.offered is None:
            raise InvalidInput("nothing is offered for this group: choose a target with c")
        tokens = [group.token, *(one.token for one in group.near or () if near)]
        body = GroupDecisionIn(action=action, groups=tokens, target=target)
        done = await self._sheet.do(
            Role.REVIEWER,
            "reviewing",
            lambda caller: routes.decide_groups(self._sheet.services, caller, body),
        )
        self._desk.done.append(done)
        self._sheet.tell(_said(done, target or group.offered))
        await self._lease()

    async def _undo(self) -> None:
        if not self._desk.done:
            raise InvalidInput("there is nothing to undo since you opened this page")
        last = self._desk.done.pop()
        body = GroupDecisionIn(action=Action.UNDO, decision=last.id)
        undone = await self._sheet.do(
            Role.REVIEWER,
            "reviewing",
            lambda caller: routes.decide_groups(self._sheet.services, caller, body),
        )
        self._sheet.tell(f"undone: {plural(undone.mappings, 'text')} wait again")
        await self._lease()

    async def _lease(self) -> None:
        desk = self._desk
        wish = NewLease(order=desk.order, groups=min(50, 1 + len(desk.passed)))

        def lease(caller: Caller) -> LeasedOut:
            return routes.lease_queue(self._sheet.services, caller, wish)

        found = await self._sheet.do(Role.REVIEWER, "reviewing", lease)
        desk.held, desk.today = found.items, found.today
        shown = {one.target for group in desk.held for one in group.evidence or ()}
        shown |= {group.offered for group in desk.held if group.offered is not None}
        desk.names = await self._sheet.read(catalogue.names, sorted(shown))
        if desk.group is None and desk.passed:  # those are all: from the first again
            desk.passed.clear()

    async def _release(self) -> None:
        def release(caller: Caller) -> None:
            routes.release_queue(self._sheet.services, caller, Release())

        self._desk.passed.clear()
        await self._sheet.do(Role.REVIEWER, "reviewing", release)

    async def _choices(self) -> Markup:
        desk = self._desk
        if not desk.choosing or desk.group is None:
            return Markup("")
        evidence = [] if desk.q else desk.group.evidence or []
        asked = choosing.Asked(desk.group.texts[0].text, desk.q)
        return await choosing.dialog(self._sheet, asked, evidence=evidence, named=desk.names)

    def _html(self) -> Markup:
        desk = self._desk
        return rendered(
            "review.html",
            desk=desk,
            group=desk.group,
            keys=KEYS,
            orders=ORDERS,
            settled=activity.settled(desk.today),
        )


async def build(sheet: Sheet, pulse: Pulse) -> None:
    """Put the desk up, for whoever may decide."""
    if not sheet.may(Role.REVIEWER):
        sheet.panel(rendered("forbidden.html", what="Reviewing", role="reviewer"))
        return
    review = Review(sheet)
    await review.open()
    pulse.moved.subscribe(sheet.unasked(review.beat))


def _order(word: str) -> str:
    return word if word in ORDERS else "value"


def _said(done: GroupDecisionOut, target: str | None) -> str:
    if done.for_second:
        return "noted; a second reviewer is asked the same"
    if done.disputed:
        return "noted; the two answers differ, a third person decides"
    words = {"approve": f"approved as {target}", "correct": f"corrected to {target}"}
    said = words.get(
        done.action.value, {"reject": "rejected", "skip": "skipped"}.get(done.action.value)
    )
    more = f"; {plural(done.arrived, 'text')} came meanwhile and wait on" if done.arrived else ""
    return f"{plural(done.mappings, 'text')}, {plural(done.rows, 'row')} {said}{more}"
