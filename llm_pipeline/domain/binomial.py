"""Exact bounds of a share, from the tail of the binomial distribution."""

from math import exp, lgamma, log, log1p

_HALVINGS = 60


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


def errors_allowed(n: int, max_error: float, confidence: float) -> int:
    """Return the most errors in n audits that still prove the bound, -1 if none do.

    >>> [errors_allowed(n, 0.02, 0.95) for n in (148, 149, 236)]
    [-1, 0, 1]
    """
    low, high = -1, n
    while high - low > 1:
        middle = (low + high) // 2
        if binomial_tail(middle, n, max_error) > 1 - confidence:
            high = middle
        else:
            low = middle
    return low
