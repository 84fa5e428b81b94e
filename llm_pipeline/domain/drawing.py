"""Who is drawn for an audit, with which probability, and how many have to be."""

from dataclasses import dataclass
from math import exp, expm1, log1p

from llm_pipeline.domain.binomial import audits_needed

SPARED = 24  # errors that the audits can hold: the bound is then 1.4 times the error found
LEAST, MOST = 0.005, 0.1


@dataclass(frozen=True, slots=True)
class Audited:
    """A group that was drawn, and what came of it; one line of evidence.

    `stratum` and `probability` are the answer's when the group arrived, `lot` is the number in
    [0, 1) that was below `inclusion`, `age` how many months ago that was. An audit that is overdue
    counts as wrong, but its age is infinite: that people are late tells of no sudden change.
    """

    stratum: str
    probability: float
    rows: int
    wrong: bool
    inclusion: float
    lot: float = 0.0
    age: float = 0.0

    @property
    def counts(self) -> bool:
        """Whether exactly one of its rows was drawn: it stands for rows that nobody looks at."""
        return self.lot < single_probability(self.rows, self.inclusion)


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


def next_share(rows: int, max_error: float, confidence: float) -> float:
    """Return the share of rows to draw where `rows` arrive in the time whose audits are counted.

    It is what yields the audits that prove the bound with a few errors among them.

    >>> round(next_share(40_000, 0.02, 0.95), 4)
    0.0421
    """
    wanted = audits_needed(max_error, confidence, SPARED)
    return min(max(wanted / max(rows, 1), LEAST), MOST)


def lot_share(rows: int, share: float, max_error: float, confidence: float) -> float:
    """Return the share to draw of a lot of `rows`: however many rows come at once, no more audits
    than would prove the bound by themselves.

    >>> lot_share(1_000, 0.02, 0.02, 0.95), round(lot_share(1_000_000, 0.02, 0.02, 0.95), 5)
    (0.02, 0.00168)
    """
    wanted = audits_needed(max_error, confidence, SPARED)
    return min(share, wanted / max(rows, 1))
