"""The rows of a period as the groups that people are shown: like texts with the same answer."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_pipeline.domain.records import Recognition
from llm_pipeline.replaying.stream import Period

Ints = npt.NDArray[np.int64]
MEMORY = ("exact", "key")


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one key that have the same answer; `labels` is how many targets they truly have.

    `stratum` is the least of what answers its texts: one that is known only by key makes it so.
    """

    key: str
    answer: str
    stratum: str
    probability: float
    places: Ints
    texts: tuple[tuple[str, int], ...]
    wrong: int
    labels: int

    @property
    def rows(self) -> int:
        return len(self.places)


def grouped(period: Period, answers: Mapping[str, Recognition]) -> list[Group]:
    """Return the groups of a period; `answers` by text, best candidate even of an abstention."""
    texts, forms, keys, targets = (
        period.rows[name].tolist() for name in ("text", "normalized", "key", "target")
    )
    members: dict[tuple[str, str, bool], list[int]] = {}
    for place, (text, key) in enumerate(zip(texts, keys, strict=True)):
        answer, stratum, _ = best(answers[text])
        members.setdefault((key, answer, stratum in MEMORY), []).append(place)
    found = []
    for (key, answer, _), places in members.items():
        counts: dict[str, int] = {}
        for place in places:
            counts[forms[place]] = counts.get(forms[place], 0) + 1
        said = [best(answers[texts[place]]) for place in places]
        _, stratum, probability = min(said, key=lambda one: (one[1] == "exact", one[2]))
        truth = [targets[place] for place in places]
        found.append(
            Group(
                key,
                answer,
                stratum,
                probability,
                np.array(places),
                tuple(counts.items()),
                sum(target != answer for target in truth),
                len(set(truth)),
            )
        )
    return found


def best(answer: Recognition) -> tuple[str, str, float]:
    """Return target, evidence and probability of the best candidate, "" and 0 if there is none."""
    if not answer.candidates:
        return "", "none", 0.0
    first = answer.candidates[0]
    return first.target, first.evidence, answer.probability
