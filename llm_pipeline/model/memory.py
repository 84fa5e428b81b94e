"""What approved mappings say by themselves: exact repeats, and texts that differ only by codes.

The replay of that look-up order over a labelled history is here too, so that both stay the same.
No weights and no probabilities.
"""

from dataclasses import dataclass, field
from threading import Lock
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from llm_pipeline.domain.text import group_key, normalize

Evidence = Literal["exact", "key"]


class Entry(NamedTuple):
    """What was learned of one normalised text: its last label, and the text as it was written."""

    target: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer of the memory; `example` is the approved text it rests on."""

    target: str
    evidence: Evidence
    example: str


@dataclass(slots=True)
class Memory:
    """Last label of each exact text, else the latest label under its grouping key.

    Any number of threads may look up while others learn: readers make single `dict.get` calls on
    `exact` and `latest`, whose values are replaced and never changed; writers take turns under a
    lock, and only they touch `_members`.

    >>> memory = Memory()
    >>> memory.learn("AMZN MKTP CA*2K4", "5942")
    >>> memory.look_up("amzn mktp ca 9q1")
    Hit(target='5942', evidence='key', example='AMZN MKTP CA*2K4')
    """

    exact: dict[str, Entry] = field(default_factory=dict)
    latest: dict[str, Entry] = field(default_factory=dict)
    _members: dict[str, dict[str, None]] = field(default_factory=dict, repr=False)
    _writing: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.exact)

    def learn(self, text: str, target: str) -> None:
        """Remember the text; one that holds neither letters, digits nor symbols is left out."""
        normalized = normalize(text)
        if normalized:
            self.restore(normalized, Entry(target, text))

    def restore(self, normalized: str, entry: Entry) -> None:
        """Learn a text whose normalised form is known already, as when a bundle is loaded."""
        key = group_key(normalized)
        with self._writing:
            members = self._members.setdefault(key, {})
            members.pop(normalized, None)
            members[normalized] = None
            self.exact.pop(normalized, None)  # to the end: `exact` keeps the order of learning
            self.exact[normalized] = entry
            self.latest[key] = entry

    def forget(self, text: str) -> None:
        """Drop the text; its key falls back to the latest text that is still known."""
        normalized = normalize(text)
        key = group_key(normalized)
        with self._writing:
            if self.exact.pop(normalized, None) is None:
                return
            members = self._members[key]
            del members[normalized]
            if members:
                self.latest[key] = self.exact[next(reversed(members))]
            else:
                del self._members[key], self.latest[key]

    def entries(self) -> list[tuple[str, Entry]]:
        """Return a copy of what is known, by normalised text, in the order of learning."""
        with self._writing:
            return list(self.exact.items())

    def look_up(self, text: str) -> Hit | None:
        normalized = normalize(text)
        entry = self.exact.get(normalized)
        if entry is not None:
            return Hit(entry.target, "exact", entry.text)
        entry = self.latest.get(group_key(normalized))
        return entry and Hit(entry.target, "key", entry.text)


def progressive_memory(history: pd.DataFrame) -> pd.DataFrame:
    """Replay `history` (normalized, key, target; in time order) against the memory before each row.

    Returns one line per row: `evidence` (`exact`, `key` or `none`) and whether it was `correct`.
    """
    known = history["normalized"].to_numpy(dtype=object) != ""
    targets = pd.Series(pd.factorize(history["target"])[0])
    before = targets.groupby(pd.factorize(history["normalized"])[0]).shift(fill_value=-1)
    under_key = targets.groupby(pd.factorize(history["key"])[0]).shift(fill_value=-1)
    exact = known & (before >= 0).to_numpy()
    key = known & ~exact & (under_key >= 0).to_numpy()
    answer = np.select([exact, key], [before, under_key], default=-1)
    return pd.DataFrame(
        {
            "evidence": np.select([exact, key], ["exact", "key"], default="none"),
            "correct": answer == targets.to_numpy(),
        },
        index=history.index,
    )
