"""How likely the answer to a group of like texts is wrong, from what people said of them before.

Memory's trust asks how often labels last; here it also counts how long nobody has looked, how
often texts, keys and targets like these were wrong, and how many rows hang on the answer. Only what
a person looked at is the past: answers that were approved without one teach nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import log, log1p
from typing import Self

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from llm_pipeline.model.calibration import Floats

FEWEST = 200  # answers looked at, and wrong ones among them, before anything is fitted
FEWEST_WRONG = 10
FADING = 0.8  # weight of past trouble, each time a person looks again
SURE = 1e-3


@dataclass(slots=True)
class Past:
    """What people said of a text or a key: `said` the last label in a row, `looks` times."""

    target: str
    at: int
    said: int = 1
    changes: int = 0
    trouble: float = 0.0
    looks: int = 1
    rows: int = 0
    wrong: int = 0

    def look(self, targets: Sequence[str], at: int) -> None:
        """Take in what a person said of its rows of one time."""
        self.rows += len(targets)
        self.wrong += sum(target != self.target for target in targets)
        one = len(set(targets)) == 1
        changed = not one or targets[-1] != self.target
        self.said = self.said + 1 if one and not changed else 1
        self.changes += changed
        self.trouble = FADING * self.trouble + changed
        self.looks += 1
        self.target, self.at = targets[-1], at


@dataclass(slots=True)
class History:
    """What people said, by text, by key and by target answered."""

    texts: dict[str, Past] = field(default_factory=dict)
    keys: dict[str, Past] = field(default_factory=dict)
    answered: dict[str, list[int]] = field(default_factory=dict)

    def look(self, rows: Iterable[tuple[str, str, str, str]], at: int) -> None:
        """Learn rows (normalised text, key, answer, target) that people looked at in one time."""
        by_text: dict[str, list[str]] = {}
        by_key: dict[str, list[str]] = {}
        for text, key, answer, target in rows:
            by_text.setdefault(text, []).append(target)
            by_key.setdefault(key, []).append(target)
            if answer:
                counted = self.answered.setdefault(answer, [0, 0])
                counted[0] += 1
                counted[1] += answer != target
        for known, found in ((self.texts, by_text), (self.keys, by_key)):
            for name, targets in found.items():
                past = known.get(name)
                if past is None:
                    past = known[name] = Past(targets[0], at, said=0, looks=0)
                past.look(targets, at)

    def describe(
        self, key: str, answer: str, texts: Sequence[tuple[str, int]], at: int
    ) -> list[float]:
        """Return the features of a group that memory answers: its texts, each with its rows."""
        of_key, rows = self.keys[key], sum(number for _, number in texts)
        means = np.zeros(7)
        for text, number in texts:
            past = self.texts.get(text)
            if past is None:
                means += number * np.array([1, 0, 0, 0, 0, log(0.05), 0])
                continue
            said, age = log1p(past.said), log1p(at - past.at)
            rate = log((past.wrong + 0.1) / (past.rows + 2))
            means += number * np.array(
                [0, said, log1p(past.changes), age, past.trouble, rate, said * age]
            )
        counted = self.answered.get(answer, [0, 0])
        said, age = log1p(of_key.said), log1p(at - of_key.at)
        return [
            *(means / rows),
            said,
            log1p(of_key.changes),
            age,
            of_key.trouble,
            log((of_key.wrong + 0.5) / (of_key.rows + 10)),
            said * age,
            log1p(of_key.looks),
            float(of_key.target == answer),
            log((counted[1] + 0.5) / (counted[0] + 10)),
            log(rows),
            log(len(texts)),
        ]


def describe_new(probability: float, rows: int, texts: int) -> list[float]:
    """Return the features of a group that only the recogniser answers."""
    sure = min(max(probability, SURE), 1 - SURE)
    return [log(sure / (1 - sure)), log(rows), log(texts)]


class Risk:
    """P(wrong) of groups by logistic regression.

    Attributes
    ----------
    model_ : None until enough was looked at; then nothing is known and the risk is 1.

    >>> Risk().fit(np.zeros((0, 1)), np.zeros(0), np.zeros(0))(np.ones((2, 1))).tolist()
    [1.0, 1.0]
    """

    model_: Pipeline | None = None

    def fit(self, features: npt.NDArray[np.float64], wrong: Floats, weights: Floats) -> Self:
        """Learn from groups looked at: the share of rows that were wrong, and for how many groups
        each stands (one over the probability with which it was looked at)."""
        if len(wrong) < FEWEST or wrong.sum() < FEWEST_WRONG:
            return self
        both = np.concatenate([wrong * weights, (1 - wrong) * weights])
        kept = both > 0
        truth = np.repeat([True, False], len(wrong))
        self.model_ = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        self.model_.fit(
            np.vstack([features, features])[kept],
            truth[kept],
            logisticregression__sample_weight=both[kept],
        )
        return self

    def __call__(self, features: npt.NDArray[np.float64]) -> Floats:
        """Return the probability that each group's rows are wrong."""
        if self.model_ is None or not len(features):
            return np.ones(len(features))
        return np.asarray(self.model_.predict_proba(features)[:, 1])
