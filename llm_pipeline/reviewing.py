"""What `review` does: one group at a time in the terminal, decided by a letter."""

from datetime import timedelta

from rich.table import Table

from llm_pipeline.domain.records import Action, Candidate
from llm_pipeline.domain.review import Group, Order
from llm_pipeline.errors import Conflict, InvalidInput
from llm_pipeline.steps.lease_groups import Leased, Wish, lease_groups
from llm_pipeline.steps.recognize import Serving
from llm_pipeline.steps.settle_group import GroupSettled, Ruling, settle_group
from llm_pipeline.steps.undo_group import undo_group
from llm_pipeline.store import leases
from llm_pipeline.terminal import out
from llm_pipeline.wiring import Parts, now

HELD = timedelta(minutes=10)
EVIDENCE = 3
KEYS = "a approve, c correct, r reject, s skip, u undo the last, q quit"
_LETTERS = {
    "a": Action.APPROVE,
    "c": Action.CORRECT,
    "r": Action.REJECT,
    "s": Action.SKIP,
}


def review(parts: Parts, order: Order, reviewer: str) -> None:
    """Show group after group until none is left or the reviewer quits."""
    sitting = _Sitting(parts, order, reviewer)
    try:
        while sitting.goes_on:
            sitting.next()
    finally:
        with parts.begin() as session:
            leases.release(session, reviewer)
    settled = [done for action, done in sitting.made if action is not Action.SKIP]
    texts = sum(done.mappings for done in settled)
    out.print(f"{_count(texts, 'text')} settled by {_count(len(settled), 'decision')}")


class _Sitting:
    """One reviewer at one terminal, and what they did last."""

    def __init__(self, parts: Parts, order: Order, reviewer: str) -> None:
        self.parts = parts
        self.order = order
        self.reviewer = reviewer
        self.serving: Serving = parts.serving()
        self.made: list[tuple[Action, GroupSettled]] = []
        self.goes_on = True

    def next(self) -> None:
        with self.parts.begin() as session:
            held = lease_groups(session, Wish(self.reviewer, self.order, 1, HELD), now())
            self.serving.refresh(session)
        if not held:
            out.print("nothing waits that nobody else holds")
            self.goes_on = False
            return
        one = held[0]
        text = one.group.texts[0].text
        answer = self.serving.recognize([text], EVIDENCE, explain=True)[0]
        _show(one, answer.candidates)
        self._ask(one)

    def _ask(self, one: Leased) -> None:
        """Ask until something was done."""
        while True:
            letter = _answer(f"[{KEYS}] ").lower()
            if letter in ("q", ""):
                self.goes_on = False
                return
            try:
                if self._did(letter, one):
                    return
            except InvalidInput as error:
                out.print(str(error), style="red", soft_wrap=True)
            except Conflict as error:
                out.print(str(error), style="red", soft_wrap=True)
                return

    def _did(self, letter: str, one: Leased) -> bool:
        if letter == "u":
            return self._undo()
        if letter not in _LETTERS:
            out.print(f"{letter!r} is none of: {KEYS}")
            return False
        action = _LETTERS[letter]
        target = _answer("target: ") if action is Action.CORRECT else None
        groups = [one.group, *_along(one, action)]
        share = self.parts.settings.second_review_share
        seen = tuple(group.seen for group in groups)
        ruling = Ruling(action, self.reviewer, seen, target or None, share=share)
        self._tell(action, settle_group(self.parts.database, ruling, now))
        return True

    def _tell(self, action: Action, done: GroupSettled) -> None:
        self.made.append((action, done))
        told = f"{action.value}: {_size(done)}"
        if done.for_second:
            waits = "waits" if len(done.for_second) == 1 else "wait"
            told = f"{told}; {_count(len(done.for_second), 'group')} {waits} for a second reviewer"
        if done.disputed:
            told = f"{told}; the first reviewer said something else, a third one decides"
        if done.arrived:
            told = f"{told}; {done.arrived} that came meanwhile go on waiting"
        out.print(told, soft_wrap=True)

    def _undo(self) -> bool:
        if not self.made:
            out.print("there is nothing to undo")
            return False
        _action, last = self.made.pop()
        undone = undo_group(self.parts.database, last.id, self.reviewer, "", now)
        out.print(f"undone: {_count(undone.mappings, 'text')} to decide again")
        return True


def _along(one: Leased, action: Action) -> list[Group]:
    """The near groups, if there are any and the reviewer wants them settled in the same way."""
    if not one.near or action is Action.SKIP:
        return []
    wanted = _answer(f"the same for {_count(len(one.near), 'group')} near to it? [y/N] ")
    return list(one.near) if wanted.lower() == "y" else []


def _answer(question: str) -> str:
    """Return what was typed; an ended input quits."""
    try:
        return out.input(question, markup=False).strip()
    except EOFError:
        out.print()
        return ""


def _show(one: Leased, candidates: tuple[Candidate, ...]) -> None:
    group = one.group
    out.print()
    out.print(f"{group.key}   ({_size(group)})", style="bold", soft_wrap=True)
    for text in group.texts:
        out.print(f"  {text.text}   ({_count(text.rows, 'row')})", soft_wrap=True)
    _tell_of(group)
    table = Table("candidate", "probability", "evidence", "nearest approved texts")
    for found in candidates:
        examples = ", ".join(found.examples or ((found.example,) if found.example else ()))
        table.add_row(found.target, f"{found.probability:.3f}", found.evidence, examples)
    if candidates:
        out.print(table)
    for near in one.near:
        out.print(f"near: {near.key}   ({_size(near)})", soft_wrap=True)


def _size(what: Group | GroupSettled) -> str:
    return f"{_count(what.mappings, 'text')}, {_count(what.rows, 'row')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _tell_of(group: Group) -> None:
    if group.suggestion is not None:
        said = group.suggestion
        out.print(f"suggested: {said.target} (probability {said.probability:.3f})")
    offered = group.offered or "nothing, name a target with c"
    differ = ", but its texts differ" if group.differ else ""
    out.print(f"approving means: {offered}{differ}")
    for one in group.proposals:
        out.print(f"proposed by {one.submitter}: {one.target}, {one.rows} times", soft_wrap=True)
    for opinion in group.opinions:
        target = f" {opinion.target}" if opinion.target else ""
        out.print(f"{opinion.actor} said: {opinion.action.value}{target}", soft_wrap=True)
