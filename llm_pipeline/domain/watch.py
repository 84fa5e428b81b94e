"""A watch over the audits since a rule was made: it may be read after every one of them.

A test by betting: for each way in which the rule could be broken, a gambler starts with 1 and
multiplies it at each audit by the likelihood of the outcome under it over that under the bound. If
the bound holds, the mean of their fortunes ever reaches 1/alarm with a probability of at most
`alarm` (Ville 1939; Ramdas et al. 2023), so looking again and again costs nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, log, log1p

ALARM = 0.05  # the probability of a false stop, of all watches together
WATCHED = 6  # watches begun at the last refits: a good past must not hide a sudden fault
HIGHEST = 0.5  # a watch finds out about errors above it only
# The error supposed, as a multiple of the bound, and at least; the last ones find a breakdown fast.
WORSE = ((1.5, 0.0), (2.0, 0.0), (3.0, 0.0), (5.0, 0.1), (10.0, 0.25), (20.0, 0.5))
MOST = 0.95


@dataclass(frozen=True, slots=True)
class Watch:
    """Evidence since the last refit that the error is above `max_error`.

    >>> watch = Watch(0.02).after([True] * 3)
    >>> watch.tripped, Watch(0.02).after([False] * 100 + [True]).tripped
    (True, False)
    """

    max_error: float
    alarm: float = ALARM
    audits: int = 0
    errors: int = 0

    def after(self, outcomes: Iterable[bool]) -> "Watch":
        """Return the watch after further audits, True for a wrong answer; it stays tripped."""
        watch = self
        for wrong in outcomes:
            if watch.tripped:
                break
            watch = Watch(self.max_error, self.alarm, watch.audits + 1, watch.errors + wrong)
        return watch

    @property
    def evidence(self) -> float:
        """Return by how much the audits favour a broken bound over a kept one."""
        supposed = [min(max(times * self.max_error, least), MOST) for times, least in WORSE]
        return sum(map(self._fortune, supposed)) / len(supposed)

    @property
    def tripped(self) -> bool:
        """Whether automatic approval must stop."""
        return self.evidence >= 1 / self.alarm

    def _fortune(self, supposed: float) -> float:
        """Return the likelihood ratio of the outcomes: it depends on their number only."""
        right = self.audits - self.errors
        won = self.errors * log(supposed / self.max_error) if self.errors else 0.0
        lost = right * (log1p(-supposed) - log1p(-self.max_error))
        return exp(min(won + lost, 700.0))
