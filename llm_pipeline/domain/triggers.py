"""Why a training is wanted, and when one that was asked for is missing. Pure rules."""

from datetime import timedelta
from enum import StrEnum

# A burst of reasons is one training: it begins when nothing new was wanted for so long ...
QUIET = timedelta(seconds=3)
# ... or when the first has waited for so long.
LONGEST_WAIT = timedelta(seconds=15)
# What the API asked Dagster for itself is left to that run for so long.
ASKED = timedelta(seconds=60)
# A training that is wanted and has not ended by then is missing.
MISSING_AFTER = timedelta(minutes=30)


class Trigger(StrEnum):
    """What can ask for a training."""

    DECISIONS = "decisions"
    FEEDBACK = "feedback"
    DRIFT = "drift"
    PERFORMANCE = "performance"
    SCHEDULE = "schedule"
    PERSON = "person"


def bucket(as_of: int, number: int, needed: int) -> str:
    """Return the version of the data that a number of new things since a training stands for: one
    for each time that enough came, so that a training that failed is wanted again when as much
    came once more.

    >>> bucket(7, 25, 20), bucket(7, 39, 20), bucket(7, 40, 20)
    ('7:1', '7:1', '7:2')
    """
    return f"{as_of}:{number // needed}"
