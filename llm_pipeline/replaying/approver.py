"""Automatic approval through time: the rule, its lots and audits, the watches, refits and stops."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import NamedTuple

from llm_pipeline.domain.approval import (
    MOST,
    Audited,
    Rule,
    fit_rule,
    inclusion_probability,
    next_share,
)
from llm_pipeline.domain.proving import CAUTION
from llm_pipeline.domain.watch import ALARM, HIGHEST, WATCHED, Watch

ALL = ""  # the watch over everything, beside one for each stratum


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user sets, for how many periods audits count, and how lax a rule may become."""

    max_error: float = 0.02
    confidence: float = 0.95
    window: int = 24
    most: float = MOST
    seed: int = 0


class Fate(NamedTuple):
    """What becomes of a group: approved or not, and whether a person looks at it."""

    accepted: bool
    drawn: bool
    inclusion: float

    @property
    def shown(self) -> bool:
        return self.drawn or not self.accepted


@dataclass(slots=True)
class Approver:
    """Decides about groups as they arrive; `end` closes a period and makes the next rule."""

    settings: Settings
    rule: Rule = field(init=False)
    share: float = 0.0
    stopped_at: int | None = None
    tripped: list[tuple[int, str, int]] = field(default_factory=list)
    _watches: dict[str, list[Watch]] = field(default_factory=dict)
    _audits: list[tuple[int, Audited]] = field(default_factory=list)
    _new: list[Audited] = field(default_factory=list)
    _rows: list[int] = field(default_factory=list)
    _lots: Random = field(init=False)

    def __post_init__(self) -> None:
        self.rule = Rule(self.settings.max_error, self.settings.confidence)
        self._lots = Random(self.settings.seed)  # noqa: S311

    def begin(self, rows: int) -> None:
        """Choose the share that is drawn of the `rows` of a period."""
        self._rows.append(rows)
        window = sum(self._rows[-self.settings.window :])
        self.share = next_share(window, self.settings.max_error, self.settings.confidence)

    def arrive(self, stratum: str, probability: float, rows: int, wrong: int) -> Fate:
        """Draw and decide about a group of which `wrong` rows have another target than the answer;
        a stratum "" has no answer."""
        # The lot first: it must not depend on the answer.
        lot, which = self._lots.random(), self._lots.random()
        inclusion = inclusion_probability(rows, self.share)
        accepted = bool(stratum) and self.stopped_at is None
        accepted = accepted and self.rule.accepts(stratum, probability, rows)
        if stratum and lot < inclusion:
            # The row that was drawn is any of the group.
            is_wrong = which < wrong / rows
            audit = Audited(stratum, probability, rows, is_wrong, inclusion, lot)
            self._new.append(audit)
            if accepted and audit.counts and not self.tripped_now:
                self._watch(stratum, is_wrong)
        return Fate(accepted, lot < inclusion, inclusion)

    @property
    def tripped_now(self) -> bool:
        return any(map(_tripped, self._watches.values()))

    def end(self, number: int) -> None:
        """Stop if a watch tripped in this period; make the rule for the next one."""
        self._audits += [(number, audit) for audit in self._new]
        self._new = []
        if self.tripped_now:
            stratum, watches = next((s, w) for s, w in self._watches.items() if _tripped(w))
            self.tripped.append((number, stratum, watches[0].audits))
            self.stopped_at, self._watches = number, {}
        first = number + 1 - self.settings.window
        if self.stopped_at is not None:
            first = max(first, self.stopped_at + 1)
        self._audits = [(at, audit) for at, audit in self._audits if at >= first]
        seen = [replace(audit, age=number - at) for at, audit in self._audits]
        before = self.rule if self.stopped_at is None else None
        wish = self.settings
        self.rule = fit_rule(seen, wish.max_error, wish.confidence, before, wish.most)
        if self.rule.limit is not None:
            self.stopped_at = None
        before_now = {} if self.stopped_at is not None else self._watches
        self._watches = {
            name: [*before_now.get(name, []), watch][-WATCHED:]
            for name, watch in self._anew(seen).items()
        }

    def _watch(self, stratum: str, wrong: bool) -> None:
        for name in (ALL, stratum):
            if name in self._watches:
                self._watches[name] = [watch.after([wrong]) for watch in self._watches[name]]

    def _anew(self, seen: Sequence[Audited]) -> dict[str, Watch]:
        """Return a watch over all, and one for each stratum of the rule.

        What may be wrong of groups that nobody looked at is more than `max_error`: the rest of
        what is approved was looked at. A stratum of unsure answers may be wrong as often as that.
        """
        accepted = [
            a for a in seen if a.counts and self.rule.accepts(a.stratum, a.probability, a.rows)
        ]
        parts: dict[str, list[float]] = {ALL: []}
        for audit in accepted:
            parts.setdefault(audit.stratum, []).append(1 - audit.probability)
        allowed = self.settings.max_error / self.rule.unseen
        alarm = ALARM / (len(parts) * WATCHED)
        return {
            name: Watch(min(max(allowed, CAUTION * _mean(risks)), HIGHEST), alarm)
            for name, risks in parts.items()
        }


def _tripped(watches: Sequence[Watch]) -> bool:
    return any(watch.tripped for watch in watches)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
