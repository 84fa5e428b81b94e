"""The pure rules of when a challenger replaces the champion."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import comb

from llm_pipeline.domain.records import Scores


@dataclass(frozen=True, slots=True)
class PairedAnswers:
    """Champion and challenger on the same held-out rows: how often only one of them was right."""

    only_challenger: int
    only_champion: int


# A floor is broken when chance alone would look as bad once in twenty times, for all targets
# together: p-values are compared with a part of it for each.
CHANCE = 0.05
# Probabilities may be further off than the champion's by so much, if they are off at all.
ECE_ROOM, ECE_GOOD, ECE_ROWS = 0.02, 0.05, 200
# Targets with fewer held-out texts say nothing of their own.
FREQUENT = 20


@dataclass(frozen=True, slots=True)
class OfTarget:
    """The paired answers about one frequent target."""

    target: str
    pairs: PairedAnswers


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger takes over, the sentence that says why, and the numbers behind it."""

    promote: bool
    reason: str
    comparison: dict[str, float] = field(default_factory=dict)


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


def beats(
    challenger: Scores,
    champion: Scores | None,
    pairs: PairedAnswers,
    recent: PairedAnswers = PairedAnswers(0, 0),
    targets: Sequence[OfTarget] = (),
) -> Verdict:
    """Decide a promotion: more right answers on the same rows, or as many and a better Brier score,
    and no floor broken: the newest rows, each frequent target, calibration.

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
    numbers = _numbers(challenger, champion, pairs, recent, targets)
    more = pairs.only_challenger > pairs.only_champion
    as_many = pairs.only_challenger == pairs.only_champion
    if not more and not (as_many and challenger.brier < champion.brier):
        return Verdict(False, f"not better than the champion: {told}", numbers)
    broken = _broken(challenger, champion, recent, targets)
    if broken:
        return Verdict(False, f"better in all, but {'; '.join(broken)}: {told}", numbers)
    why = "more right answers" if more else "as many right answers and better probabilities"
    return Verdict(True, f"{why}: {told}", numbers)


def _broken(
    challenger: Scores, champion: Scores, recent: PairedAnswers, targets: Sequence[OfTarget]
) -> list[str]:
    """The floors that a challenger breaks, each as a sentence's end."""
    found = []
    if mcnemar_loss(recent) < CHANCE:
        found.append(f"worse on the newest texts ({_counts(recent)})")
    found += [
        f"worse on {one.target} ({_counts(one.pairs)})"
        for one in targets
        if mcnemar_loss(one.pairs) < CHANCE / len(targets)
    ]
    enough = challenger.rows >= ECE_ROWS and challenger.ece > ECE_GOOD
    if enough and challenger.ece > champion.ece + ECE_ROOM:
        found.append(
            f"its probabilities are further off (ECE {challenger.ece:.3f} v {champion.ece:.3f})"
        )
    return found


def _counts(pairs: PairedAnswers) -> str:
    return f"{pairs.only_champion} only the champion had right, {pairs.only_challenger} only it"


def _numbers(
    challenger: Scores,
    champion: Scores,
    pairs: PairedAnswers,
    recent: PairedAnswers,
    targets: Sequence[OfTarget],
) -> dict[str, float]:
    """The comparison as MLflow keeps it, by the names of its metrics."""
    return {
        "versus_only_challenger": float(pairs.only_challenger),
        "versus_only_champion": float(pairs.only_champion),
        "versus_p_of_loss": mcnemar_loss(pairs),
        "versus_accuracy": challenger.accuracy - champion.accuracy,
        "versus_brier": challenger.brier - champion.brier,
        "versus_ece": challenger.ece - champion.ece,
        "versus_recent_only_challenger": float(recent.only_challenger),
        "versus_recent_only_champion": float(recent.only_champion),
        "versus_recent_p_of_loss": mcnemar_loss(recent),
        "versus_targets": float(len(targets)),
        "versus_targets_least_p": min((mcnemar_loss(one.pairs) for one in targets), default=1.0),
    }
