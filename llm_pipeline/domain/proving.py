"""Which rules of automatic approval can be tested, and what the audits say of each."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from llm_pipeline.domain.binomial import binomial_tail, errors_allowed
from llm_pipeline.domain.drawing import Audited

# What is tested, as limits: multiples of the bound below the allowance, then wrong rows above it.
STRICT = (-0.9, -0.75, -0.5, 0.0)
LAX = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CAUTION = 1.5  # errors are taken to be so many times what the probabilities promise
# The last part of the audits must keep the bound by itself, as likely as this, or be without an
# error: the others tell of a time that may be over.
LATE = 1 / 3
LATE_CONFIDENCE = 0.75


def excess(probability: float, rows: int, max_error: float) -> float:
    """Return the wrong rows that a group is expected to bring above its allowance.

    Below the allowance the number of rows does not matter: more rows of what is right do no harm.

    >>> round(excess(0.9, 10, 0.02), 3), round(excess(0.99, 10, 0.02), 3)
    (0.8, -0.01)
    """
    above = 1 - probability - max_error
    return above * rows if above > 0 else above


class Candidate(NamedTuple):
    """A rule that could be, by its `limit`: what its audits say, and what was promised of them."""

    limit: float
    audits: int
    errors: int
    promised: float
    unseen: float
    late_audits: int
    late_errors: int

    def proven(self, max_error: float, confidence: float) -> bool:
        """Whether all audits prove it, and the latest do not speak against it."""
        allowed = min(max_error / self.unseen, 1.0)
        late = binomial_tail(self.late_errors, self.late_audits, allowed)
        if self.late_errors and late > 1 - LATE_CONFIDENCE:
            return False
        return binomial_tail(self.errors, self.audits, allowed) <= 1 - confidence

    def power(self, max_error: float, confidence: float) -> float:
        """Return the probability that the audits prove it if the answers' probabilities hold."""
        allowed = errors_allowed(self.audits, min(max_error / self.unseen, 1.0), confidence)
        return binomial_tail(allowed, self.audits, self.promised) if allowed >= 0 else 0.0


class Drawn(NamedTuple):
    """An audit by its `place` from strict to lax, and whether it is one of the last in time."""

    place: float
    audit: Audited
    counts: bool
    late: bool


def in_order(audits: Iterable[Audited], max_error: float) -> list[Drawn]:
    """Return audits, given in the order of time, from strict to lax."""
    listed = list(audits)
    late_from = int(len(listed) * (1 - LATE))
    drawn = [
        Drawn(excess(a.probability, a.rows, max_error), a, a.counts, n >= late_from)
        for n, a in enumerate(listed)
    ]
    return sorted(drawn, key=lambda one: one.place)


def candidates_of(drawn: Sequence[Drawn], max_error: float) -> list[Candidate]:
    """Return the rules that could be tested, strict to lax."""
    places = [one.place for one in drawn]
    audits = list(accumulate(one.counts for one in drawn))
    errors = list(accumulate(one.counts and one.audit.wrong for one in drawn))
    late = list(accumulate(one.counts and one.late for one in drawn))
    late_errors = list(accumulate(one.counts and one.late and one.audit.wrong for one in drawn))
    promised = list(accumulate(one.counts * (1 - one.audit.probability) for one in drawn))
    # Each audited group stands for 1/inclusion like it, of which a part was not drawn.
    rows = list(accumulate(one.audit.rows / one.audit.inclusion for one in drawn))
    seen = list(accumulate(one.audit.rows for one in drawn))
    found = []
    for limit in (*(part * max_error for part in STRICT), *LAX):
        last = bisect_right(places, limit) - 1
        if last >= 0 and audits[last]:
            found.append(
                Candidate(
                    limit,
                    audits[last],
                    errors[last],
                    min(CAUTION * promised[last] / audits[last], 1.0),
                    max(1 - seen[last] / rows[last], max_error),
                    late[last],
                    late_errors[last],
                )
            )
    return found
