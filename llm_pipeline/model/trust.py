"""How far memory can be trusted: the probability of a hit, from the past of its text and key.

Fitted by replaying a labelled history: each row is answered by what the rows before it taught.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from llm_pipeline.model.calibration import Floats, Logistic, fitted
from llm_pipeline.model.memory import Hit

# Fitted to the replay of Toronto's purchase-card stream of January 2011 to June 2017: they speak
# until a history of one's own is long enough.
PRIOR_EXACT = Logistic(1.69, (1.09, -0.53, -0.12, 1.24))
PRIOR_KEY = Logistic(0.97, (0.99, -0.59))
OF_TEXT = ["seen", "changes", "key_changes", "agrees"]
OF_KEY = ["key_seen", "key_changes"]


@dataclass(frozen=True, slots=True)
class Trust:
    """P(right) of an exact hit and of a key hit."""

    exact: Logistic = PRIOR_EXACT
    key: Logistic = PRIOR_KEY

    def __call__(self, hits: list[Hit]) -> Floats:
        """Return the probability of each hit."""
        chance = np.zeros(len(hits))
        for evidence, logistic, features in (
            ("exact", self.exact, _of_text),
            ("key", self.key, _of_key),
        ):
            places = [place for place, hit in enumerate(hits) if hit.evidence == evidence]
            if places:
                chance[places] = logistic(_dampened([features(hits[place]) for place in places]))
        return chance

    def of_replay(self, replayed: pd.DataFrame) -> Floats:
        """Return the probability of each row of a `replay`, 0 where memory had no answer."""
        chance = np.zeros(len(replayed))
        for evidence, logistic, columns in (
            ("exact", self.exact, OF_TEXT),
            ("key", self.key, OF_KEY),
        ):
            hit = (replayed["evidence"] == evidence).to_numpy()
            chance[hit] = logistic(_dampened(replayed.loc[hit, columns]))
        return chance


def replay(history: pd.DataFrame) -> pd.DataFrame:
    """Answer each row of `history` (normalized, key, target; in time order) by the rows before it.

    Returns a line per row: `evidence` (`exact`, `key` or `none`), whether it was `correct`, and
    what was known of the text (`seen`, `changes`) and of its key (`key_seen`, `key_changes`), and
    whether both said the same (`agrees`).
    """
    target = pd.Series(pd.factorize(history["target"])[0])
    known = history["normalized"].to_numpy(dtype=object) != ""
    text = _past(pd.factorize(history["normalized"])[0], target)
    key = _past(pd.factorize(history["key"])[0], target)
    exact = known & (text["answer"] >= 0).to_numpy()
    by_key = known & ~exact & (key["answer"] >= 0).to_numpy()
    answer = np.select([exact, by_key], [text["answer"], key["answer"]], default=-1)
    return pd.DataFrame(
        {
            "evidence": np.select([exact, by_key], ["exact", "key"], default="none"),
            "correct": answer == target.to_numpy(),
            "seen": text["seen"].to_numpy(),
            "changes": text["changes"].to_numpy(),
            "key_seen": key["seen"].to_numpy(),
            "key_changes": key["changes"].to_numpy(),
            "agrees": (text["answer"] == key["answer"]).to_numpy(),
        },
        index=history.index,
    )


def learned(replayed: pd.DataFrame) -> Trust:
    """Return what a replay teaches; too short a one leaves the prior."""
    exact, key = (replayed[replayed["evidence"] == evidence] for evidence in ("exact", "key"))
    return Trust(
        fitted(_dampened(exact[OF_TEXT]), exact["correct"].to_numpy(bool), PRIOR_EXACT),
        fitted(_dampened(key[OF_KEY]), key["correct"].to_numpy(bool), PRIOR_KEY),
    )


def pasts(history: pd.DataFrame, column: str) -> dict[str, tuple[int, int]]:
    """Return `seen` and `changes` of each text or key after the last row of a history."""
    target = pd.Series(pd.factorize(history["target"])[0])
    names, labels = pd.factorize(history[column])
    after = _runs(names, target).groupby(names).last()
    counts = zip(after["seen"].tolist(), after["changes"].tolist(), strict=True)
    return dict(zip(labels, counts, strict=True))


def _past(names: npt.NDArray[np.intp], target: "pd.Series[int]") -> pd.DataFrame:
    """Return what was known of each row's name before the row; `answer` -1 for nothing."""
    after = _runs(names, target).assign(answer=target)
    before = after.groupby(names).shift(fill_value=0)
    before["answer"] = after["answer"].groupby(names).shift(fill_value=-1)
    return before


def _runs(names: npt.NDArray[np.intp], target: "pd.Series[int]") -> pd.DataFrame:
    """Return, after each row, how often its name's label changed and since when it is the same."""
    before = target.groupby(names).shift(fill_value=-1)
    changed = (before >= 0) & (before != target)
    changes = changed.astype(np.int64).groupby(names).cumsum()
    seen = target.groupby([pd.Series(names), changes]).cumcount() + 1
    return pd.DataFrame({"seen": seen, "changes": changes})


def _of_text(hit: Hit) -> tuple[int, int, int, bool]:
    entry, key = hit.entry, hit.under_key or hit.entry
    return entry.seen, entry.changes, key.changes, entry.target == key.target


def _of_key(hit: Hit) -> tuple[int, int]:
    return hit.entry.seen, hit.entry.changes


def _dampened(counts: object) -> Floats:
    """Return log(1 + count): the difference between 1 and 2 matters as much as from 10 to 20."""
    return np.log1p(np.asarray(counts, dtype=np.float64))
