"""Simulated streams: how often the bound of automatic approval breaks, how soon a fault stops it.

    python benchmarks/automatic_approval.py --out benchmarks/results/automatic_approval.md

Each stream is 36 periods of about 1,200 rows: merchants that come again as often as Zipf's law has
it and change their target now and then, some often, and new ones. The answer is what a person last
said of the merchant, its probability what the chance of a change since then makes it. `Approver`,
the code of the product's replay, draws, decides, watches and refits; a person who looks is right.

- exchangeable: the probabilities are true throughout
- label shift: from the middle on merchants change four times as often, and nothing knows
- new merchants: from the middle on three times as many, and guesses about them are worse than said
- bad batch: in one period a tenth of all merchants change at once

A stream is violated if more than `max_error` of all its automatic approvals were left wrong. The
fault: one of two sources of guesses that were right turns 20 % wrong.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from llm_pipeline.domain.binomial import upper_bound
from llm_pipeline.domain.intervals import wilson
from llm_pipeline.replaying.approver import Approver, Fate, Settings

KINDS = ("exchangeable", "label shift", "new merchants", "bad batch")
PERIODS, MERCHANTS, ROWS, NEW = 36, 400, 1_200, 60
MIDDLE = PERIODS // 2
YEAR = 12
STEADY, RESTLESS = 0.004, 0.06  # chance of another target in a period
FAULT = 0.2


@dataclass(slots=True)
class Merchant:
    """A merchant: how restless it is, whether the known answer is wrong, how long nobody looked."""

    weight: float
    hazard: float
    wrong: bool = False
    age: int = 1


@dataclass(slots=True)
class Totals:
    """Automatic rows, those left wrong and groups shown, by period."""

    automatic: list[int] = field(default_factory=list)
    standing: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)

    def error(self) -> float:
        return sum(self.standing) / max(sum(self.automatic), 1)

    def worst_year(self) -> float:
        ends = range(YEAR, len(self.automatic) + 1)
        return max(
            sum(self.standing[end - YEAR : end]) / max(sum(self.automatic[end - YEAR : end]), 1)
            for end in ends
        )


def simulate(kind: str, settings: Settings) -> Totals:
    """Play one stream."""
    dice, approver, totals = Random(settings.seed), Approver(settings), Totals()  # noqa: S311
    merchants = [
        Merchant(1 / (rank + 3), RESTLESS if dice.random() < 0.1 else STEADY)
        for rank in range(MERCHANTS)
    ]
    for period in range(PERIODS):
        late = period >= MIDDLE
        change(merchants, kind, period, dice)
        drawn = dice.choices(merchants, [m.weight for m in merchants], k=ROWS)
        groups: dict[int, list[Merchant]] = {}
        for merchant in drawn:
            groups.setdefault(id(merchant), []).append(merchant)
        arrivals = []
        for same in groups.values():
            merchant, rows = same[0], len(same)
            sure = (1 - merchant.hazard) ** merchant.age
            arrivals.append(("exact", sure, rows, rows * merchant.wrong, merchant))
        number = NEW * 3 if late and kind == "new merchants" else NEW
        for _ in range(number):
            sure = dice.betavariate(2, 2)
            true = sure * 0.6 if late and kind == "new merchants" else sure
            arrivals.append(("text", sure, 1, int(dice.random() > true), None))
        play(approver, totals, arrivals)
        approver.end(period)
        for merchant in merchants:
            merchant.age += 1
    return totals


def change(merchants: list[Merchant], kind: str, period: int, dice: Random) -> None:
    """Let some merchants take another target."""
    often = 4 if kind == "label shift" and period >= MIDDLE else 1
    for merchant in merchants:
        hazard = min(merchant.hazard * often, 1.0)
        if kind == "bad batch" and period == MIDDLE:
            hazard = 0.1
        if dice.random() < hazard:
            merchant.wrong = True


def play(
    approver: Approver,
    totals: Totals,
    arrivals: list[tuple[str, float, int, int, Merchant | None]],
) -> None:
    """Let the groups of one period arrive, and people look at those that are shown."""
    automatic = standing = shown = 0
    approver.begin(sum(rows for _, _, rows, _, _ in arrivals))
    for stratum, sure, rows, wrong, merchant in arrivals:
        fate: Fate = approver.arrive(stratum, sure, rows, wrong)
        if fate.accepted:
            automatic += rows
            standing += 0 if fate.drawn else wrong
        if fate.shown:
            shown += 1
            if merchant is not None:
                merchant.wrong, merchant.age = False, 0
    totals.automatic.append(automatic)
    totals.standing.append(standing)
    totals.shown.append(shown)


def audits_until_stop(max_error: float, seed: int) -> tuple[int, int] | None:
    """Return after how many audited approvals of a source that turned, and how many periods, a
    watch stopped everything or a refit left the source out; None if neither happened."""
    dice, approver = Random(seed), Approver(Settings(max_error, seed=seed))  # noqa: S311
    audited, tripped = 0, False
    for period in range(PERIODS):
        approver.begin(2 * ROWS)
        for stratum in ("exact", "names"):
            for _ in range(ROWS):
                turned = period >= MIDDLE and stratum == "names"
                wrong = int(dice.random() < (FAULT if turned else max_error / 4))
                fate = approver.arrive(stratum, 1 - max_error / 4, 1, wrong)
                if turned and fate.accepted and fate.drawn and not tripped:
                    audited, tripped = audited + 1, approver.tripped_now
        before_stop = len(approver.tripped)
        approver.end(period)
        left_out = not approver.rule.accepts("names", 1 - max_error / 4)
        if period >= MIDDLE and (left_out or len(approver.tripped) > before_stop):
            return audited, period - MIDDLE + 1
    return None


def report(streams: int) -> str:
    """Return the tables of both."""
    lines = [
        "| streams | max error | violated | at most (95 %) | mean error | worst year, median "
        "| some year over the bound | automatic |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for max_error in (0.02, 0.05):
        lines += [violations(kind, max_error, streams) for kind in KINDS]
    lines += [
        "",
        "| fault at max error | stopped or left out | audits of it until then | periods |",
        "|---|---|---|---|",
    ]
    for max_error in (0.02, 0.05):
        found = [audits_until_stop(max_error, seed) for seed in range(streams)]
        stopped = sorted(one for one in found if one is not None)
        audits, periods = sorted(a for a, _ in stopped), sorted(p for _, p in stopped)
        lines.append(
            f"| {100 * max_error:g} % | {len(stopped)} of {streams} | median {middle(audits)}, "
            f"most {audits[-1]} | median {middle(periods)}, most {periods[-1]} |"
        )
    return "\n".join(lines) + "\n"


def violations(kind: str, max_error: float, streams: int) -> str:
    played = [simulate(kind, Settings(max_error, seed=seed)) for seed in range(streams)]
    errors = [totals.error() for totals in played]
    broken = sum(error > max_error for error in errors)
    years = sorted(totals.worst_year() for totals in played)
    over = sum(year > max_error for year in years)
    rows = sum(sum(totals.automatic) for totals in played)
    share = rows / (streams * PERIODS * (ROWS + NEW))
    low_high = wilson(broken / streams, streams)
    return (
        f"| {streams} {kind} | {100 * max_error:g} % | {broken} ({100 * low_high[0]:.0f}-"
        f"{100 * low_high[1]:.0f} %) | {100 * upper_bound(broken, streams, 0.95):.1f} % | "
        f"{100 * sum(errors) / streams:.2f} % | {100 * middle(years):.2f} % | {over} | "
        f"{100 * share:.0f} % |"
    )


def middle(values: list[int] | list[float]) -> float:
    return values[len(values) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    told = report(given.streams)
    print(told)
    if given.out:
        given.out.write_text(told)


if __name__ == "__main__":
    main()
