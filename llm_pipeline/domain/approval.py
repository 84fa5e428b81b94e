"""Which groups are approved without a person, and the evidence that they may be.

Every group of like rows draws a number by lot when it arrives, before anything is answered. A
group of n rows is audited with probability 1 - (1 - share)^n: as if each row were drawn with
probability `share`, and the group looked at when any of its rows was. A person answers it without
seeing the answer, and all its rows get that answer. So what can still be wrong are groups of which
no row was drawn, and groups of which exactly one was drawn are a sample of just those, by their
rows and with equal weight (as singletons tell of the unseen in Good and Turing's estimate). They
are counted, a group once: the bound of their share of errors is the exact binomial one (Clopper
and Pearson 1934), and rows that are alike do not feign evidence.

What a group brings above its allowance is rows x (P(wrong) - max_error). One number, `limit`, the
most that a group may bring, orders all rules from strict to lax. The first rule tested is the one
that the probabilities promise to be proven most surely, then laxer ones up to the first that is
not: an order fixed before anybody looks at who was wrong needs no correction for trying many
(fixed sequence: Maurer, Hothorn and Lehmacher 1995; learn then test: Angelopoulos et al. 2021).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isinf
from typing import Any

from llm_pipeline.domain.binomial import (
    audits_needed,
    binomial_tail,
    errors_allowed,
    upper_bound,
)
from llm_pipeline.domain.drawing import (
    Audited,
    inclusion_probability,
    next_share,
    single_probability,
)
from llm_pipeline.domain.proving import CAUTION, candidates_of, excess, in_order

__all__ = [
    "Accepted",
    "Audited",
    "LeftOut",
    "Rule",
    "audits_needed",
    "binomial_tail",
    "errors_allowed",
    "excess",
    "fit_rule",
    "inclusion_probability",
    "next_share",
    "single_probability",
    "upper_bound",
]

REPEATS = "exact"  # the evidence group of exact repeats of a text that a person approved
MOST = 0.5  # beyond it answers would be approved that are rather wrong than right
LATEST = (2, 4)  # months whose audits are also judged by themselves: what broke, broke of late
# How sure its latest audits must be against a stratum. They are asked at each refit: one that is
# wrong just as often as allowed is left out for a while in one of five runs of two years.
SURE = 0.99
# A rule looks well on audits of a stricter time, when people had just looked at everything: it
# opens slowly, from so many times the bound by such a factor a refit.
FIRST = 5.0
STEP = 1.15


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the rule takes of one stratum: single rows from probability `threshold` on.

    `bound` is this stratum's alone; `share` is the part of the stratum's audits that is accepted.
    """

    stratum: str
    threshold: float
    audits: int
    errors: int
    bound: float
    share: float


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A stratum that its audits speak against: more than `allowed` of them are wrong, among those
    of the last `months` or, without these, among all that count. An audit that nobody answered in
    time, one of `overdue`, is taken for wrong."""

    stratum: str
    audits: int
    errors: int
    allowed: float
    months: int | None
    overdue: int = 0

    def explain(self) -> str:
        audits = "audit" if self.audits == 1 else "audits"
        latest = "" if self.months is None else f" of the last {self.months} months"
        late = f", {self.overdue} of them not answered in time" if self.overdue else ""
        return (
            f"left out: wrong in {self.errors} of {self.audits} {audits}{latest}{late}; "
            f"{_percent(self.allowed)} % are allowed"
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule in force: what is approved automatically, and the audits it rests on.

    `limit` is the most wrong rows above the allowance that a group may be expected to bring; None
    if nothing is proven. Until then exact repeats are accepted on trust where their probability
    meets the bound, unless their own audits speak against them (`refuted`).

    `errors` of `audits` were wrong; they stand for the part `unseen` of the accepted rows, the rest
    being in groups that a person looked at. `bound` is of what stands wrong among all of them.
    `left_out` are strata that would be `accepted`, did their own audits not speak against them.
    """

    max_error: float
    confidence: float
    limit: float | None = None
    audits: int = 0
    errors: int = 0
    bound: float = 1.0
    missing: int = 0
    accepted: tuple[Accepted, ...] = ()
    unseen: float = 1.0
    refuted: bool = False
    left_out: tuple[LeftOut, ...] = ()

    def accepts(self, stratum: str, probability: float, rows: int = 1) -> bool:
        """Whether a group of `rows` rows with this answer is approved without a person."""
        if self.limit is None:
            trusted = not self.refuted and stratum == REPEATS
            return trusted and 1 - probability <= self.max_error
        known = any(accepted.stratum == stratum for accepted in self.accepted)
        return known and excess(probability, rows, self.max_error) <= self.limit

    def missing_audits(self) -> int:
        """Return how many audits without an error are missing before anything can be proven."""
        return self.missing

    def explain(self, stratum: str | None = None) -> str:
        """Say what the rule, or its part for one stratum, rests on."""
        if self.limit is None:
            told = f"{self.audits} audits, {self.errors} errors"
            if self.refuted:
                return f"{told}: even exact repeats are wrong more often than allowed"
            return (
                f"{told}, {self.missing} more without an error are needed; until then only "
                f"exact repeats whose probability is at least {_percent(1 - self.max_error)} %"
            )
        part: Rule | Accepted = self
        if stratum is not None:
            for left in self.left_out:
                if left.stratum == stratum:
                    return left.explain()
            found = [accepted for accepted in self.accepted if accepted.stratum == stratum]
            if not found:
                return f"no audits speak for {stratum!r}"
            part = found[0]
        return (
            f"{part.audits} audits, {part.errors} errors, at most {_percent(part.bound)} % wrong "
            f"with {_percent(self.confidence)} % confidence"
        )

    def explain_nothing(self) -> str:
        """Say why nothing is accepted though something is proven."""
        told = [f"{left.stratum} {left.explain()}" for left in self.left_out]
        rest = "what else is proven" if told else "it"
        return "; ".join([self.explain(), *told, f"{rest} opens step by step, with the next fits"])

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Rule":
        accepted = tuple(Accepted(**each) for each in saved["accepted"])
        # Rules of an earlier time do not say what they left out.
        left_out = tuple(LeftOut(**each) for each in saved.get("left_out", ()))
        return cls(**{**saved, "accepted": accepted, "left_out": left_out})


def fit_rule(
    audits: Iterable[Audited],
    max_error: float,
    confidence: float,
    before: Rule | None = None,
    most: float = MOST,
) -> Rule:
    """Return the laxest rule that the audits prove, little laxer than the one `before`, and with
    no `limit` above `most`.

    The audits must be all that were drawn in some time, in its order, whether the groups were
    accepted or not; the last part of them, `LATE`, must keep the bound by itself.
    Which rules are tested depends on the answers and the number of audits, not on who was wrong.
    """
    drawn = in_order(audits, max_error)
    candidates = [each for each in candidates_of(drawn, max_error) if each.limit <= most]
    powers = [each.power(max_error, confidence) for each in candidates]
    surest = max(powers, default=0.0)
    as_sure = [n for n, power in enumerate(powers) if power >= surest - 0.001 * (surest > 0.001)]
    proven = None
    for candidate in candidates[max(as_sure, default=0) :]:
        if not candidate.proven(max_error, confidence):
            break
        proven = candidate
    if proven is None:
        return _unproven([one.audit for one in drawn if one.counts], max_error, confidence)
    first = FIRST * max_error
    last = first if before is None or before.limit is None else max(before.limit * STEP, first)
    limit = min(proven.limit, last)
    counted = [(one.place, one.audit) for one in drawn if one.counts]
    accepted, left_out = _by_stratum(counted, limit, max_error, confidence)
    bound = upper_bound(proven.errors, proven.audits, confidence) * proven.unseen
    told = (proven.audits, proven.errors, bound, 0, accepted, proven.unseen)
    return Rule(max_error, confidence, limit, *told, left_out=left_out)


def _unproven(counted: list[Audited], max_error: float, confidence: float) -> Rule:
    """Say how far the audits are from a proof, and whether exact repeats can be trusted so far."""
    errors = sum(audit.wrong for audit in counted)
    repeats = [a for a in counted if a.stratum == REPEATS and 1 - a.probability <= max_error]
    wrong = sum(audit.wrong for audit in repeats)
    refuted = _above(wrong, len(repeats), max_error, confidence)
    missing = max(1, audits_needed(max_error, confidence, wrong) - len(repeats))
    bound = upper_bound(errors, len(counted), confidence)
    n = len(counted)
    return Rule(max_error, confidence, None, n, errors, bound, missing, refuted=refuted)


def _above(errors: int, n: int, share: float, confidence: float) -> bool:
    """Whether so many errors prove that more than `share` is wrong."""
    return errors > 0 and binomial_tail(n - errors, n, 1 - share) <= 1 - confidence


def _by_stratum(
    counted: list[tuple[float, Audited]], limit: float, max_error: float, confidence: float
) -> tuple[tuple[Accepted, ...], tuple[LeftOut, ...]]:
    """Tell each stratum's part of the rule, and those that their own audits speak against.

    The rule holds with them; a stratum that is wrong more often than allowed and than its
    probabilities say is left out all the same: in all its audits, or in the latest, so that a
    source that breaks is out after a refit or two. `watch` bets against what broke since a refit
    and stops everything; this leaves out one stratum.
    """
    parts, without = [], []
    for stratum in sorted({audit.stratum for place, audit in counted if place <= limit}):
        every = [(place, audit) for place, audit in counted if audit.stratum == stratum]
        within = [audit for place, audit in every if place <= limit]
        n, errors = len(within), sum(audit.wrong for audit in within)
        against = _against(stratum, within, max_error, confidence)
        if against is not None:
            without.append(against)
            continue
        bound = upper_bound(errors, n, confidence)
        parts.append(Accepted(stratum, 1 - max_error - limit, n, errors, bound, n / len(every)))
    return tuple(parts), tuple(without)


def _against(
    stratum: str, audits: Sequence[Audited], max_error: float, confidence: float
) -> LeftOut | None:
    """Tell what speaks against a stratum: the shortest time first, whose audits say most of now."""
    for months in LATEST:
        latest = [audit for audit in audits if audit.age < months]
        if _refuted(latest, max_error, max(SURE, confidence)):
            return _left_out(stratum, latest, max_error, months)
    if _refuted(audits, max_error, confidence):
        return _left_out(stratum, audits, max_error, None)
    return None


def _left_out(
    stratum: str, audits: Sequence[Audited], max_error: float, months: int | None
) -> LeftOut:
    errors = sum(audit.wrong for audit in audits)
    overdue = sum(isinf(audit.age) for audit in audits)
    return LeftOut(stratum, len(audits), errors, _allowed(audits, max_error), months, overdue)


def _refuted(audits: Sequence[Audited], max_error: float, confidence: float) -> bool:
    """Whether more are wrong than the bound and their probabilities allow."""
    errors = sum(audit.wrong for audit in audits)
    return _above(errors, len(audits), _allowed(audits, max_error), confidence)


def _allowed(audits: Sequence[Audited], max_error: float) -> float:
    promised = sum(CAUTION * (1 - audit.probability) for audit in audits)
    return min(max(max_error, promised / max(len(audits), 1)), 1.0)


def _percent(share: float) -> str:
    digits = 1 if share >= 0.001 else 3
    return f"{100 * share:.{digits}f}".rstrip("0").removesuffix(".")
