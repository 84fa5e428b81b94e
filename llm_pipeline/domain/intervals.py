"""Between which ends a share lies that was measured on a few."""

from math import sqrt

Z95 = 1.959963984540054  # 95 % of a normal distribution lie within


def wilson(share: float, trials: float, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's interval of a share, `z` standard deviations wide (Wilson 1927).

    `trials` may be a fraction, where they depend on one another; of none, any share is possible.

    >>> [round(end, 3) for end in wilson(0.9, 10)]
    [0.596, 0.982]
    """
    if not trials:
        return 0.0, 1.0
    z2 = z * z
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = z * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, centre - reach), min(1.0, centre + reach)
