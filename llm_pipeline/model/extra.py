"""Columns beside the text as features of the linear model, and whether they help it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack

from llm_pipeline.domain.extra import Extra, Tokens, tokens
from llm_pipeline.domain.policy import PairedAnswers, mcnemar_loss
from llm_pipeline.errors import InvalidInput

Flags = npt.NDArray[np.bool_]

WEIGHT = 0.5  # of each token, beside n-grams of length 1 together
MIN_PAIRS = 2  # a value of one key only, such as an order's number, tells nothing of others
MAX_TOKENS = 10_000  # the most frequent; with 1,500 classes their weights take 60 MB
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Vocabulary:
    """The tokens that have weights, in the order of their columns."""

    tokens: Sequence[str] = ()
    place: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        places = {token: place for place, token in enumerate(self.tokens)}
        object.__setattr__(self, "place", places)

    @classmethod
    def of(cls, told: Iterable[Tokens]) -> Self:
        counts = Counter(token for said in told for token in said)
        frequent = [(token, n) for token, n in counts.items() if n >= MIN_PAIRS]
        frequent.sort(key=lambda counted: (-counted[1], counted[0]))
        return cls([token for token, _ in frequent[:MAX_TOKENS]])

    def known(self, said: Tokens) -> Tokens:
        return tuple(token for token in said if token in self.place)

    def beside(self, rows: csr_matrix, told: Sequence[Tokens] | None) -> csr_matrix:
        """Return rows of terms with the columns of these tokens behind them."""
        if not self.tokens:
            return rows
        said = [[self.place[t] for t in self.known(one)] for one in told or [()] * rows.shape[0]]
        pointers = np.cumsum([0, *map(len, said)])
        columns = np.array([place for one in said for place in one], dtype=np.int32)
        values = np.full(len(columns), WEIGHT, dtype=np.float32)
        shape = (rows.shape[0], len(self.tokens))
        beside = csr_matrix((values, columns, pointers), shape=shape)
        return csr_matrix(hstack([rows, beside], format="csr"))


@dataclass(frozen=True, slots=True)
class ExtraTest:
    """Weights with and without the columns, on the same keys that neither had seen."""

    pairs: int
    only_with: int
    only_without: int
    p: float

    @classmethod
    def of(cls, with_columns: Flags, without: Flags) -> Self:
        """Compare two lists of whether each answer was right.

        `p` is the chance of so many more right answers if the columns said nothing (McNemar's exact
        test, one-sided).
        """
        only_with = int((with_columns & ~without).sum())
        only_without = int((without & ~with_columns).sum())
        p = mcnemar_loss(PairedAnswers(only_challenger=only_without, only_champion=only_with))
        return cls(len(without), only_with, only_without, p)

    @property
    def helps(self) -> bool:
        return self.only_with > self.only_without and self.p < SIGNIFICANT

    def as_metrics(self) -> dict[str, float]:
        return {f"extra_{name}": float(getattr(self, name)) for name in self.__slots__}


def tokens_of(extra: Sequence[Extra | None] | None, texts: int) -> list[Tokens]:
    """Return the tokens of each text; InvalidInput if there is not one mapping, or None, a text."""
    if extra is None:
        return [()] * texts
    if len(extra) != texts:
        raise InvalidInput(
            f"{len(extra)} values of `extra` for {texts} texts; give one mapping or null per text"
        )
    return [tokens(said) for said in extra]
