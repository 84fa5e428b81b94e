"""The order of the review queue from a cold start: decisions until 90 % of the rows are right.

    python benchmarks/queue_order.py FILE --text text --target mcc --time month --periods 12

Rows of the first periods of a labelled file wait, grouped by key; nothing is known. A decision says
what the rows of a group are, one decision for each different target; the recogniser learns it at
once, is trained anew after every so many (`--train`; the product does after 20), and answers what
still waits anew (`--every`). Orders: arrival, value
(rows waiting x uncertainty, as the queue has it), uncertain, random. Beside them what the product
can know without the truth: in `value` every tenth group is drawn at random, and rows settled by a
decision of either kind give the saving.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pandas as pd

from llm_pipeline.domain.records import State
from llm_pipeline.model.evaluation import taught
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.replaying.stream import read_stream

GOALS = (0.8, 0.9, 0.95)
RANDOM_ARM = 0.1


@dataclass(slots=True)
class Waiting:
    """A group: its texts with rows and targets, and what the recogniser makes of it."""

    place: int
    texts: list[str]
    targets: list[str]
    taught: pd.DataFrame
    rows: int
    decisions: int
    right: int = 0
    uncertainty: float = 1.0


Order = Callable[[Waiting], float]


def groups_of(rows: pd.DataFrame) -> list[Waiting]:
    found = []
    for place, (_, part) in enumerate(rows.groupby("key", sort=False)):
        texts, targets = part["text"].tolist(), part["target"].tolist()
        found.append(Waiting(place, texts, targets, part, len(part), part["target"].nunique()))
    return found


@dataclass(frozen=True, slots=True)
class Steps:
    """Decisions between two looks at what waits, and between two trainings; 0 for none."""

    every: int
    train: int

    def trains_after(self, decisions: int) -> bool:
        return 0 < self.train <= decisions


def play(
    rows: pd.DataFrame, order: Order, steps: Steps, seed: int, arm: float = 0.0
) -> dict[str, float]:
    """Decide group by group until all goals are reached; return decisions for each, and the rows
    settled by a decision of the order and of the random arm."""
    dice, recognizer = Random(seed), Recognizer.empty()  # noqa: S311
    groups = groups_of(rows)
    total, decided, decisions, since, trained = len(rows), 0, 0, steps.every, 0
    learned: list[pd.DataFrame] = []
    reached: dict[str, float] = {}
    settled = {False: [0, 0], True: [0, 0]}
    ranked: list[Waiting] = []
    while groups and len(reached) < len(GOALS):
        if since >= steps.every or not ranked:
            if steps.trains_after(decisions - trained):
                recognizer, trained = trained_on(learned), decisions
            look(groups, recognizer)
            share = (decided + sum(group.right for group in groups)) / total
            reached = {**dict.fromkeys(goals_at(share), decisions), **reached}
            ranked, since = sorted(groups, key=order), 0
        by_lot = dice.random() < arm
        group = ranked.pop(dice.randrange(len(ranked)) if by_lot else 0)
        groups.remove(group)
        settled[by_lot][0] += group.rows - group.right
        settled[by_lot][1] += group.decisions
        decided += group.rows
        decisions += group.decisions
        since += group.decisions
        learned.append(group.taught)
        for text, target in dict(zip(group.texts, group.targets, strict=True)).items():
            recognizer.learn(text, target)
    for name, (number, made) in (("order", settled[False]), ("arm", settled[True])):
        if made:
            reached[f"rows per decision, {name}"] = number / made
    return reached


def goals_at(share: float) -> list[str]:
    return [f"{goal:.0%}" for goal in GOALS if share >= goal]


def trained_on(learned: Sequence[pd.DataFrame]) -> Recognizer:
    history = pd.concat(learned, ignore_index=True)
    return taught(Recognizer(), history.drop_duplicates("normalized", keep="last"), history)


def look(groups: Sequence[Waiting], recognizer: Recognizer) -> None:
    """Answer all that waits: a row is right if the recogniser says what it is, and stands by it."""
    texts = list({text for group in groups for text in group.texts})
    answers = dict(zip(texts, recognizer.recognize(texts, 1), strict=True))
    for group in groups:
        said = [answers[text] for text in group.texts]
        group.right = sum(
            answer.state is State.MATCHED and answer.target == target
            for answer, target in zip(said, group.targets, strict=True)
        )
        group.uncertainty = 1 - sum(answer.probability for answer in said) / len(said)


def most_settled(rows: pd.DataFrame, decisions: float) -> float:
    """Return the share of rows that no order settles more of by so many decisions: groups with most
    rows a decision first, the last one in part (the bound of a fractional knapsack)."""
    settled = 0.0
    for group in sorted(groups_of(rows), key=lambda group: -group.rows / group.decisions):
        part = min(1.0, decisions / group.decisions)
        settled += part * group.rows
        decisions -= part * group.decisions
        if decisions <= 0:
            break
    return settled / len(rows)


def report(rows: pd.DataFrame, steps: Steps, seed: int) -> str:
    dice = Random(seed)  # noqa: S311
    lots: dict[int, float] = {}
    orders: dict[str, tuple[Order, float]] = {
        "arrival": (lambda group: group.place, 0.0),
        "value": (lambda group: -group.rows * group.uncertainty, 0.0),
        "value, with a random arm": (lambda group: -group.rows * group.uncertainty, RANDOM_ARM),
        "uncertain": (lambda group: -group.uncertainty, 0.0),
        "random": (lambda group: lots.setdefault(group.place, dice.random()), 0.0),
    }
    lines = [
        f"{len(rows):,} rows in {rows['key'].nunique():,} groups wait.\n",
        f"| order | {' | '.join(f'{goal:.0%} right' for goal in GOALS)} | rows settled a decision "
        "| in the random arm | saving it estimates |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (order, arm) in orders.items():
        found = play(rows, order, steps, seed, arm)
        if name == "arrival":
            quarter = found.get("90%", rows["key"].nunique()) / 4
        mine, drawn = found["rows per decision, order"], found.get("rows per decision, arm")
        told = ("", "") if not drawn else (f"{drawn:.2f}", f"{mine / drawn:.1f} times")
        goals = (f"{found.get(f'{goal:.0%}', float('nan')):,.0f}" for goal in GOALS)
        lines.append(f"| {name} | {' | '.join(goals)} | {mine:.2f} | {' | '.join(told)} |")
        print(lines[-1], flush=True)
    most = most_settled(rows, quarter)
    lines.append(
        f"\nA quarter of arrival's decisions at 90 % is {quarter:,.0f}: no order settles more than "
        f"{most:.1%} of the rows with them, and of the rest the recogniser would have to answer "
        f"{max(0.0, 0.9 - most) / (1 - most):.0%} rightly."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--target", default="target")
    parser.add_argument("--time", default="time")
    parser.add_argument("--periods", type=int, default=0, help="only the first; 0 for all")
    parser.add_argument("--every", type=int, default=50, help="decisions between two looks")
    parser.add_argument("--train", type=int, default=100, help="decisions between two trainings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    periods = read_stream(given.file, given.text, given.target, given.time)
    chosen = periods[: given.periods or None]
    rows = pd.concat([period.rows for period in chosen], ignore_index=True)
    told = report(rows, Steps(given.every, given.train), given.seed)
    print(told)
    if given.out:
        given.out.write_text(told)


if __name__ == "__main__":
    main()
