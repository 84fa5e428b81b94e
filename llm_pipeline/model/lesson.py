"""What a fit learns of texts that memory does not know: weights, their calibration, and whether
columns beside the text make them better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sklearn.base import clone

from llm_pipeline.domain.extra import Tokens
from llm_pipeline.model.extra import ExtraTest
from llm_pipeline.model.linear import LinearModel
from llm_pipeline.model.sources import Approved, CatalogueNames
from llm_pipeline.model.stacking import Stacking

MAX_CLASSES = 1_500  # more targets than that, or fewer than two keys for each, have no weights


@dataclass(frozen=True, slots=True)
class Lesson:
    """The texts that teach, their targets, the place in time of each grouping key, and how many
    keys are known by heart."""

    texts: Sequence[str]
    targets: Sequence[str]
    first_seen: Mapping[str, int] | None
    keys: int
    approved: Approved
    names: CatalogueNames
    threads: int

    def weights(self, linear: LinearModel, told: Sequence[Tokens] | None = None) -> LinearModel:
        """Fit weights; `told` is what columns beside each text say."""
        classes = len(set(self.targets))
        if classes > MAX_CLASSES or self.keys < 2 * classes:
            return linear.fit([], [])
        return linear.fit(self.texts, self.targets, first_seen=self.first_seen, extra=told)

    def stacking(self, linear: LinearModel) -> Stacking:
        return Stacking.fitted(
            linear,
            self.approved,
            self.names,
            self.texts,
            self.targets,
            first_seen=self.first_seen,
            threads=self.threads,
        )

    def columns(
        self, without: LinearModel, told: Sequence[Tokens]
    ) -> tuple[ExtraTest | None, Stacking | None]:
        """Fit weights that know columns; return how they did, and their stacking if that is better.

        Texts that come without any go on being answered by weights that never saw them.
        """
        if not any(told):
            return None, None
        linear = self.weights(clone(without), told)
        if linear.tested_ is None or without.tested_ is None:
            return None, None
        test = ExtraTest.of(linear.tested_.right, without.tested_.right)
        return test, self.stacking(linear) if test.helps else None
