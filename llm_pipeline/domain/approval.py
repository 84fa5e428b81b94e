"""Which groups are approved without a person, and the evidence that they may be.

Every group of like rows draws a number by lot when it arrives, before anything is answered. A
group of n rows is audited with probability 1 - (1 - share)^n: as if each row were drawn with
probability `share`, and the group looked at when any of its rows was. A person answers it without
seeing the answer, and all its rows get that answer. So what can still be wrong are groups of which
no row was drawn, and groups of which exactly one was drawn are a sample of just those, by their
rows and with equal weight (as singletons tell of the unseen in Good and Turing's estimate). They
are counted, a group once: the bound of their share of errors is the exact binomial one (Clopper
and Pearson 1934), and rows that are alike do not feign evidence.

A group is accepted by what it would cost: rows x (P(wrong) - max_error), the wrong rows that it
brings above its own allowance. One number, `limit`, orders all rules from strict to lax; they are
tested from the strict end up to the first that is not proven, which needs no correction for trying
many (fixed sequence: Maurer, Hothorn and Lehmacher 1995; learn then test: Angelopoulos et al.).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import exp, expm1, lgamma, log, log1p
from typing import Any

REPEATS = "exact"  # the evidence group of exact repeats of a text that a person approved
STEP = 1.1  # each rule tested rests on so many times the audits of the one before
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class Audited:
    """A group that was drawn, and what came of it; one line of evidence.

    `stratum` and `probability` are the answer's when the group arrived, `lot` is the number in
    [0, 1) that was below `inclusion`. An audit that is overdue counts as wrong.
    """

    stratum: str
    probability: float
    rows: int
    wrong: bool
    inclusion: float
    lot: float = 0.0

    @property
    def counts(self) -> bool:
        """Whether exactly one of its rows was drawn: it stands for rows that nobody looks at."""
        return self.lot < single_probability(self.rows, self.inclusion)


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
class Rule:
    """The rule in force: what is approved automatically, and the audits it rests on.

    `limit` is the most wrong rows above the allowance that a group may be expected to bring; None
    if nothing is proven. With too few audits for any proof (`missing`), exact repeats are accepted
    on trust where their probability meets the bound.
    """

    max_error: float
    confidence: float
    limit: float | None = None
    audits: int = 0
    errors: int = 0
    bound: float = 1.0
    missing: int = 0
    accepted: tuple[Accepted, ...] = ()

    def accepts(self, stratum: str, probability: float, rows: int = 1) -> bool:
        """Whether a group of `rows` rows with this answer is approved without a person."""
        if self.limit is None:
            trusted = self.missing > 0 and stratum == REPEATS
            return trusted and 1 - probability <= self.max_error
        known = any(accepted.stratum == stratum for accepted in self.accepted)
        return known and excess(probability, rows, self.max_error) <= self.limit

    def missing_audits(self) -> int:
        """Return how many audits without an error are missing before anything can be proven."""
        return self.missing

    def explain(self, stratum: str | None = None) -> str:
        """Say what the rule, or its part for one stratum, rests on."""
        if self.limit is None:
            if self.missing:
                return (
                    f"{self.audits} audits, {self.missing} more without an error are needed; until "
                    f"then only exact repeats that are at most {_percent(self.max_error)} % wrong"
                )
            return f"{self.audits} audits, {self.errors} errors: the bound is not proven"
        told: Rule | Accepted = self
        if stratum is not None:
            found = [accepted for accepted in self.accepted if accepted.stratum == stratum]
            if not found:
                return f"no audits speak for {stratum!r}"
            told = found[0]
        return (
            f"{told.audits} audits, {told.errors} errors, at most {_percent(told.bound)} % wrong "
            f"with {_percent(self.confidence)} % confidence"
        )

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "Rule":
        accepted = tuple(Accepted(**each) for each in saved["accepted"])
        return cls(**{**saved, "accepted": accepted})


def inclusion_probability(rows: int, share: float) -> float:
    """Return the probability that at least one of a group's rows is drawn.

    >>> round(inclusion_probability(100, 0.02), 3)
    0.867
    """
    return 1.0 if share >= 1 else -expm1(rows * log1p(-share))


def single_probability(rows: int, inclusion: float) -> float:
    """Return the probability that exactly one row was drawn, of a group's inclusion probability.

    >>> round(single_probability(100, inclusion_probability(100, 0.02)), 3)
    0.271
    """
    if rows == 1 or inclusion >= 1:
        return inclusion if rows == 1 else 0.0
    missed = log1p(-inclusion) / rows
    return rows * -expm1(missed) * exp((rows - 1) * missed)


def excess(probability: float, rows: int, max_error: float) -> float:
    """Return the wrong rows that a group is expected to bring above its allowance.

    Below the allowance the number of rows does not matter: more rows of what is right do no harm.

    >>> round(excess(0.9, 10, 0.02), 3), round(excess(0.99, 10, 0.02), 3)
    (0.8, -0.01)
    """
    above = 1 - probability - max_error
    return above * rows if above > 0 else above


def binomial_tail(errors: int, n: int, chance: float) -> float:
    """Return P(X <= errors) of a binomial X of n trials.

    >>> round(binomial_tail(1, 2, 0.5), 6)
    0.75
    """
    if errors >= n or chance <= 0:
        return 1.0
    if chance >= 1:
        return 0.0
    if errors > n * chance:  # the smaller tail is summed: its largest term is its first
        return 1.0 - _falling_sum(n - errors - 1, n, 1 - chance)
    return _falling_sum(errors, n, chance)


def _falling_sum(errors: int, n: int, chance: float) -> float:
    """Return P(X <= errors) where the terms fall from the last on."""
    ways = lgamma(n + 1) - lgamma(errors + 1) - lgamma(n - errors + 1)
    term = exp(ways + errors * log(chance) + (n - errors) * log1p(-chance))
    total, odds = 0.0, (1 - chance) / chance
    for k in range(errors, -1, -1):
        total += term
        term *= k / (n - k + 1) * odds
        if term <= total * 1e-17:
            break
    return total


def upper_bound(errors: int, n: int, confidence: float) -> float:
    """Return the one-sided Clopper-Pearson upper bound of a share, 1 without any trial.

    >>> round(upper_bound(3, 412, 0.95), 4)
    0.0187
    """
    if errors >= n:
        return 1.0
    low, high = errors / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if binomial_tail(errors, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def audits_needed(max_error: float, confidence: float, errors: int = 0) -> int:
    """Return the fewest audits that prove the bound with so many errors among them.

    >>> [audits_needed(0.02, 0.95, errors) for errors in (0, 1, 2)]
    [149, 236, 313]
    """
    low, high = errors, 2 * (errors + 1)
    while binomial_tail(errors, high, max_error) > 1 - confidence:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_tail(errors, middle, max_error) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def fit_rule(audits: Iterable[Audited], max_error: float, confidence: float) -> Rule:
    """Return the laxest rule that the audits prove.

    The audits must be all that were drawn in some time, whether the groups were accepted or not.
    Which rules are tested depends on the answers and the number of audits, not on who was wrong.
    """
    counted = [(excess(a.probability, a.rows, max_error), a) for a in audits if a.counts]
    counted.sort(key=lambda pair: pair[0])
    least = audits_needed(max_error, confidence)
    if len(counted) < least:
        errors = sum(audit.wrong for _, audit in counted)
        missing = least - len(counted)
        return Rule(max_error, confidence, None, len(counted), errors, 1.0, missing)
    proven = _walk(counted, max_error, confidence)
    if not proven:
        errors = sum(audit.wrong for _, audit in counted)
        bound = upper_bound(errors, len(counted), confidence)
        return Rule(max_error, confidence, None, len(counted), errors, bound)
    within = [audit for _, audit in counted[:proven]]
    limit = counted[proven - 1][0]
    errors = sum(audit.wrong for audit in within)
    bound = upper_bound(errors, proven, confidence)
    every = [audit for _, audit in counted]
    accepted = _by_stratum(within, every, limit, max_error, confidence)
    return Rule(max_error, confidence, limit, proven, errors, bound, 0, accepted)


def _walk(counted: Sequence[tuple[float, Audited]], max_error: float, confidence: float) -> int:
    """Return how many of the audits, least excess first, the laxest proven rule rests on."""
    size = max(audits_needed(max_error, confidence, 1), len(counted) // 4)
    proven, errors, done = 0, 0, 0
    while done < len(counted):
        end = min(size, len(counted))
        while end < len(counted) and counted[end][0] == counted[end - 1][0]:
            end += 1
        errors += sum(audit.wrong for _, audit in counted[done:end])
        if binomial_tail(errors, end, max_error) > 1 - confidence:
            break
        proven = done = end
        size = max(int(size * STEP), end + 1)
    return proven


def _by_stratum(
    within: Sequence[Audited],
    every: Sequence[Audited],
    limit: float,
    max_error: float,
    confidence: float,
) -> tuple[Accepted, ...]:
    """Tell each stratum's part of the rule, without those that their own audits speak against.

    The rule holds with them; a stratum that is wrong more often than allowed beyond doubt is left
    out all the same.
    """
    parts = []
    for stratum in sorted({audit.stratum for audit in within}):
        wrong = [audit.wrong for audit in within if audit.stratum == stratum]
        n, errors = len(wrong), sum(wrong)
        if errors and binomial_tail(n - errors, n, 1 - max_error) <= 1 - confidence:
            continue
        drawn = sum(audit.stratum == stratum for audit in every)
        bound = upper_bound(errors, n, confidence)
        parts.append(Accepted(stratum, 1 - max_error - limit, n, errors, bound, n / drawn))
    return tuple(parts)


def next_share(rows: int, max_error: float, confidence: float) -> float:
    """Return the share of rows to draw where `rows` arrive in the time whose audits are counted.

    It is what yields the audits that prove the bound with a few errors among them.

    >>> round(next_share(40_000, 0.02, 0.95), 4)
    0.018
    """
    wanted = audits_needed(max_error, confidence, SPARED)
    return min(max(wanted / max(rows, 1), LEAST), MOST)


SPARED = 8  # errors that the audits can hold without ending the proof
LEAST, MOST = 0.005, 0.1


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0")
