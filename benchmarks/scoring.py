"""What answers are worth: the product's own scores, and what single tasks measure besides."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import roc_auc_score

from llm_pipeline.domain.records import Scores
from llm_pipeline.model.evaluation import scores

OUT_OF_SCOPE = ""


@dataclass(frozen=True)
class Answered:
    """A batch: ranked targets with their scores in 0..1, and the seconds of the faster run."""

    wanted: np.ndarray
    ranked: np.ndarray
    scores: np.ndarray
    seconds: float

    @property
    def sure(self) -> np.ndarray:
        return self.scores[:, 0]

    @property
    def right(self) -> np.ndarray:
        return np.asarray(self.ranked[:, 0] == self.wanted, dtype=bool)

    @property
    def texts_per_second(self) -> float:
        return len(self.wanted) / self.seconds

    def summary(self) -> Scores:
        return scores(self.wanted, self.ranked[:, 0], self.sure)


def hits(answered: dict[str, Answered], company: dict[str, str]) -> dict[str, float]:
    """Return how often the ticker, or any ticker of its company, is first or among the first 5."""
    batch = next(iter(answered.values()))
    names = np.vectorize(lambda ticker: company.get(ticker, ""), otypes=[object])
    pairs = {
        "ticker": (batch.ranked, batch.wanted),
        "company": (names(batch.ranked), names(batch.wanted)),
    }
    return {
        f"{what} hit@{depth}": float((ranked[:, :depth] == wanted[:, None]).any(axis=1).mean())
        for what, (ranked, wanted) in pairs.items()
        for depth in (1, 5)
    }


def out_of_scope(answered: dict[str, Answered]) -> dict[str, float]:
    """Abstain below the threshold with the most right answers on the validation part."""
    inside, outside = answered["in scope"], answered["out of scope"]
    threshold = _threshold(answered["validation"])
    sure = np.concatenate([inside.sure, outside.sure])
    known = np.repeat([True, False], [len(inside.sure), len(outside.sure)])
    return {
        "threshold": threshold,
        "in-scope accuracy with it": float((inside.right & (inside.sure >= threshold)).mean()),
        "out-of-scope recall": float((outside.sure < threshold).mean()),
        "AUROC": float(roc_auc_score(known, sure)),
    }


def _threshold(judged: Answered) -> float:
    outside = judged.wanted == OUT_OF_SCOPE
    grid = np.unique(np.append(judged.sure, 0.0))
    given = judged.sure >= grid[:, None]
    right = (given & judged.right & ~outside).sum(axis=1) + (~given & outside).sum(axis=1)
    return float(grid[right.argmax()])
