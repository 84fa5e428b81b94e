"""The pure rules: when to approve without a person, and when a challenger replaces the champion."""

from dataclasses import dataclass
from math import comb

from llm_pipeline.domain.records import Scores


@dataclass(frozen=True, slots=True)
class PairedAnswers:
    """Champion and challenger on the same held-out rows: how often only one of them was right."""

    only_challenger: int
    only_champion: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger takes over, and the sentence that says why."""

    promote: bool
    reason: str


def mcnemar_loss(pairs: PairedAnswers) -> float:
    """Return the one-sided exact McNemar p-value that the challenger is worse.

    The probability of at least `only_champion` discordant rows going to the champion if both were
    equally good: a binomial tail with p = 1/2 (McNemar 1947, exact form).

    >>> mcnemar_loss(PairedAnswers(only_challenger=0, only_champion=5))
    0.03125
    """
    discordant = pairs.only_challenger + pairs.only_champion
    tail = ways = comb(discordant, pairs.only_champion)
    # Each term from the one before: thousands of discordant rows take milliseconds.
    for k in range(pairs.only_champion, discordant):
        ways = ways * (discordant - k) // (k + 1)
        tail += ways
    return float(tail / 2**discordant)


def beats(challenger: Scores, champion: Scores | None, pairs: PairedAnswers) -> Verdict:
    """Decide a promotion: more right answers on the same rows, or as many and a better Brier score.

    A first model needs no rival. Scores must come from the same rows, and neither model's weights
    may have seen them.
    """
    if champion is None:
        told = f"{challenger.accuracy:.3f} right on {challenger.rows} held-out texts"
        return Verdict(True, f"first model: {told if challenger.rows else 'not measured yet'}")
    loss = mcnemar_loss(pairs)
    told = (
        f"accuracy {challenger.accuracy:.4f} v {champion.accuracy:.4f}, "
        f"Brier {challenger.brier:.4f} v {champion.brier:.4f} on {challenger.rows} held-out texts; "
        f"{pairs.only_challenger} only the challenger had right, {pairs.only_champion} only the "
        f"champion (McNemar p of a loss {loss:.3f})"
    )
    if pairs.only_challenger > pairs.only_champion:
        return Verdict(True, f"more right answers: {told}")
    if pairs.only_challenger == pairs.only_champion and challenger.brier < champion.brier:
        return Verdict(True, f"as many right answers and better probabilities: {told}")
    return Verdict(False, f"not better than the champion: {told}")
