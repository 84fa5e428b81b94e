"""How good a recogniser is: on keys its weights never saw, and by memory over the stream.

The replay of a whole stream is in `progressive`, where it is weak in `breakdown`. Nothing here
draws or stores; `plots` draws, `registry` stores.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import f1_score

from llm_pipeline.domain.extra import Extra
from llm_pipeline.domain.held_out import is_held_out
from llm_pipeline.domain.policy import FREQUENT, OfTarget, PairedAnswers
from llm_pipeline.domain.records import Recognition, Scores, Target
from llm_pipeline.errors import InvalidInput
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.model.trust import replay

BINS = 15
PRECISION = 0.95
RECENT = 0.3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `evaluate` found; the arrays hold one place per held-out text.

    `seen_share` of the history's rows were answered by memory, `seen_accuracy` of those rightly.
    `accuracy` estimates the whole stream: memory where it answers, and for the rest the linear
    model's accuracy with equal weight for each held-out key, since in a stream only the first text
    of a key meets it. Without held-out keys the rest counts as wrong.
    """

    unseen: Scores
    seen_share: float
    seen_accuracy: float
    accuracy: float
    texts: npt.NDArray[np.object_]
    target: npt.NDArray[np.object_]
    predicted: npt.NDArray[np.object_]
    probability: Floats
    correct: npt.NDArray[np.bool_]

    @property
    def answers(self) -> pd.DataFrame:
        """A line per held-out text."""
        names = ("target", "predicted", "probability", "correct")
        return pd.DataFrame({name: getattr(self, name) for name in names})


def held_out(keys: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Return which grouping keys test and never teach: a tenth, chosen by a hash, for ever.

    >>> held_out(["taxi", "pizza 3", "delta air"]).tolist()
    [True, False, False]
    """
    return np.array([is_held_out(key) for key in keys], dtype=bool)


def scores(
    targets: Sequence[str] | npt.NDArray[Any],
    predicted: Sequence[str] | npt.NDArray[Any],
    probability: Sequence[float] | Floats,
    weights: Sequence[float] | Floats | None = None,
) -> Scores:
    """Score answers and their probabilities; no rows give zeros.

    Macro-F1 averages over the targets that occur. ECE uses 15 bins of equal width. Brier is the
    mean squared distance between the top answer's probability and whether it was right.
    """
    wanted, given = np.asarray(targets, dtype=object), np.asarray(predicted, dtype=object)
    if len(wanted) == 0:
        return Scores(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    sure = np.asarray(probability, dtype=np.float64)
    share = np.ones(len(wanted)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = share / share.sum()
    correct = wanted == given
    return Scores(
        rows=len(wanted),
        accuracy=float(np.average(correct, weights=share)),
        macro_f1=_macro_f1(wanted, given, share),
        coverage_at_95=_coverage(sure, correct, share),
        ece=calibration_error(sure, correct, share),
        brier=float(share @ (sure - correct) ** 2),
    )


def scored(answers: pd.DataFrame) -> Scores:
    """Score a table of answers: target, predicted, probability."""
    return scores(
        answers["target"].to_numpy(object),
        answers["predicted"].to_numpy(object),
        answers["probability"].to_numpy(np.float64),
    )


def taught(
    recognizer: Recognizer,
    texts: pd.DataFrame,
    history: pd.DataFrame,
    catalogue: Sequence[Target] = (),
) -> Recognizer:
    """Fit it on `texts` (text, key, target: a line per distinct text, the newest last): all of them
    teach memory, the keys that are not held out also the weights. Where `texts` have a column
    `extra`, it is what columns beside each text say; so it is in all that follows.
    """
    return recognizer.fit(
        texts["text"].tolist(),
        texts["target"].tolist(),
        teaches=~held_out(texts["key"]),
        history=history,
        catalogue=catalogue,
        extra=extra_of(texts),
    )


def extra_of(rows: pd.DataFrame) -> list[Extra | None] | None:
    """Return what columns beside each text say, None where none were asked for."""
    return rows["extra"].tolist() if "extra" in rows else None


def evaluate(recognizer: Recognizer, texts: pd.DataFrame, history: pd.DataFrame) -> Evaluation:
    """Test on the held-out keys of `texts` (text, key, target: a line per distinct text), memory
    off, and replay memory over `history` (normalized, key, target: a line per row, in time order).
    """
    return evaluate_each({"": recognizer}, texts, history)[""]


def evaluate_each(
    variants: Mapping[str, Recognizer], texts: pd.DataFrame, history: pd.DataFrame
) -> dict[str, Evaluation]:
    """Evaluate recognisers that share one memory; its replay is theirs in common."""
    tested, replayed = texts[held_out(texts["key"])], replay(history)
    return {name: _evaluated(variant, tested, replayed) for name, variant in variants.items()}


def _evaluated(recognizer: Recognizer, tested: pd.DataFrame, replayed: pd.DataFrame) -> Evaluation:
    names, target = tested["text"].to_numpy(object), tested["target"].to_numpy(object)
    answers = recognizer.recognize(names.tolist(), 1, use_memory=False, extra=extra_of(tested))
    predicted, probability = best_answers(answers)
    correct = np.asarray(predicted == target, dtype=bool)
    seen = replayed.loc[replayed["evidence"] != "none", "correct"]
    seen_share = len(seen) / max(len(replayed), 1)
    seen_accuracy = float(seen.mean()) if len(seen) else 0.0
    by_key = pd.Series(correct).groupby(tested["key"].to_numpy(object)).mean()
    return Evaluation(
        unseen=scores(target, predicted, probability),
        seen_share=seen_share,
        seen_accuracy=seen_accuracy,
        accuracy=seen_share * seen_accuracy
        + (1 - seen_share) * (float(by_key.mean()) if len(by_key) else 0.0),
        texts=names,
        target=target,
        predicted=predicted,
        probability=probability,
        correct=correct,
    )


def best_answers(answers: Sequence[Recognition]) -> tuple[npt.NDArray[np.object_], Floats]:
    """Return the best candidate of each answer, abstained or not ("" if none), and its chance."""
    best = [answer.candidates[0].target if answer.candidates else "" for answer in answers]
    return np.array(best, dtype=object), np.array([answer.probability for answer in answers])


def paired(challenger: Evaluation, champion: Evaluation) -> PairedAnswers:
    """Count the texts that only one of the two had right."""
    if not np.array_equal(challenger.texts, champion.texts):
        raise InvalidInput(
            f"challenger and champion were tested on different texts ({len(challenger.texts)} and "
            f"{len(champion.texts)}); evaluate both on the same training set"
        )
    return _paired(challenger.correct, champion.correct)


def paired_recent(
    challenger: Evaluation, champion: Evaluation, share: float = RECENT
) -> PairedAnswers:
    """As `paired`, of the last share of the texts: those that were seen last come last."""
    begin = len(challenger.texts) - int(len(challenger.texts) * share)
    return _paired(challenger.correct[begin:], champion.correct[begin:])


def paired_by_target(
    challenger: Evaluation, champion: Evaluation, fewest: int = FREQUENT
) -> list[OfTarget]:
    """As `paired`, of each target with at least so many texts."""
    targets, counts = np.unique(challenger.target.astype(str), return_counts=True)
    found = []
    for target in targets[counts >= fewest]:
        of_it = challenger.target == target
        pairs = _paired(challenger.correct[of_it], champion.correct[of_it])
        found.append(OfTarget(str(target), pairs))
    return found


def _paired(challenger: npt.NDArray[np.bool_], champion: npt.NDArray[np.bool_]) -> PairedAnswers:
    return PairedAnswers(int((challenger & ~champion).sum()), int((champion & ~challenger).sum()))


def _macro_f1(
    wanted: npt.NDArray[np.object_], given: npt.NDArray[np.object_], share: Floats
) -> float:
    codes = pd.factorize(np.concatenate([wanted, given]))[0]
    wanted_codes, given_codes = np.split(codes, [len(wanted)])
    return float(
        f1_score(
            wanted_codes,
            given_codes,
            labels=np.unique(wanted_codes),
            average="macro",
            sample_weight=share,
            zero_division=0.0,
        )
    )


def _coverage(sure: Floats, correct: npt.NDArray[np.bool_], share: Floats) -> float:
    """Return the largest share of rows above one threshold of which `PRECISION` is right."""
    order = np.argsort(-sure, kind="stable")
    covered, right = np.cumsum(share[order]), np.cumsum((share * correct)[order])
    ends_a_tie = np.append(np.diff(sure[order]) != 0, True)
    precise = ends_a_tie & (right >= PRECISION * covered - 1e-12)
    return float(covered[precise].max(initial=0.0))


def calibration_error(sure: Floats, correct: npt.NDArray[np.bool_], share: Floats | float) -> float:
    """Return the expected calibration error; `share` of the rows add up to 1."""
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, share * (sure - correct))).sum())
