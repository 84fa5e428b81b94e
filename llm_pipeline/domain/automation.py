"""What automatic approval speaks of: kinds of audits, causes of stops, groups of like answers.

The statistics are in `approval`.
"""

import math
import random
from collections.abc import Iterator
from enum import StrEnum

# Before a policy is fitted, and what a new one is fitted with.
MAX_ERROR = 0.02
CONFIDENCE = 0.95
SHARE = 0.02
# More open audits than this share of those due in the same time, and nobody keeps up with them.
OVERDUE_SHARE = 0.2


class AuditKind(StrEnum):
    """`arrival`: drawn before its answer was known; `repeat`: it joined a live mapping; `held`: a
    repeat too doubtful to pass without a person, chosen for that and no evidence."""

    ARRIVAL = "arrival"
    REPEAT = "repeat"
    HELD = "held"


class Cause(StrEnum):
    """Why automatic approval stopped; the value begins a sentence."""

    AUDITS = "audits"
    OVERDUE = "overdue"
    GATE = "gate_failed"
    COMPONENT = "component_down"
    RUN = "run_failed"
    DRIFT = "drift"
    METRIC = "metric_out_of_limits"
    PERSON = "person"


# An open critical alert of one of these rules stops automatic approval until it is resolved; a
# training that failed does not, because the champion goes on answering.
ALERTING = (Cause.GATE, Cause.COMPONENT, Cause.RUN, Cause.DRIFT, Cause.METRIC)
STOPPING_RUNS = ("recognition",)


def stops_approval(rule: str, subject: str) -> bool:
    """Return whether a critical alert about a subject stops automatic approval."""
    return rule in ALERTING and (rule != Cause.RUN or subject in STOPPING_RUNS)


def policy_name(policy_id: int) -> str:
    """Return what a policy is called where its decisions name their actor."""
    return f"policy {policy_id}"


def stratum_of(evidence: str, *, proposed: bool) -> str:
    """Return the group of answers that one belongs to: by what spoke for it, and by whether
    whoever sent the text had proposed the same.

    >>> stratum_of("key", proposed=False), stratum_of("model + name", proposed=True)
    ('key', 'model + name, proposed')
    """
    return f"{evidence}, proposed" if proposed else evidence


def drawn_positions(number: int, share: float, dice: random.Random) -> Iterator[int]:
    """Draw each of 0 .. number-1 with probability `share`, by the gaps between those drawn.

    The gap before the next success of a series of trials is geometric: floor(log(u) / log(1-p))
    for u uniform in (0, 1]. So a lot costs what it draws, not what it draws from.
    """
    if share <= 0.0:
        return
    position = -1
    while True:
        gap = 0 if share >= 1.0 else int(math.log(1.0 - dice.random()) / math.log1p(-share))
        position += gap + 1
        if position >= number:
            return
        yield position
