"""How well wrong labels are found: a share of the labels is corrupted, then ranked by each method.

    python benchmarks/label_errors.py DATA_FOLDER --task toronto,banking77,clinc150

cleanlab is measured where it is installed, on the very shares that the product's ranking uses.
"""

import argparse
import warnings
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score
from tasks import read

from llm_pipeline.domain.text import normalize
from llm_pipeline.model.label_errors import MIN_SCORE, LabelErrors

SEED = 11  # weights and floor of the ranking were chosen on Toronto and Banking77 with seed 7
CORRUPTED = 0.03
TEXTS = 10_000
FLAGGED = "cleanlab: what it flags"
FILES = {
    "toronto": ("toronto_pcard_2011_2018/text_label.csv.gz", "mcc"),
    "banking77": ("banking77/data.csv.gz", "label"),
    "clinc150": ("clinc150/data.csv.gz", "label"),
}


def labelled(folder: Path, task: str) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct texts with their last label: what is live in the product."""
    name, target = FILES[task]
    rows = read(folder / name)
    if task != "toronto":
        rows = rows[rows["split"] == "train"]
    if task == "clinc150":
        rows = rows[rows["is_oos"] != "1"]
    rows = rows.assign(form=rows["text"].map(normalize)).drop_duplicates("form", keep="last")
    rows = rows[rows["form"] != ""]
    rows = rows.sample(min(TEXTS, len(rows)), random_state=SEED)
    return rows["text"].to_numpy(object), rows[target].to_numpy(object)


def corrupt(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give a random share another label, any of the others alike; return labels and which."""
    random, wrong = np.random.default_rng(SEED), np.zeros(len(targets), bool)
    wrong[random.choice(len(targets), int(CORRUPTED * len(targets)), replace=False)] = True
    given, classes = targets.copy(), np.unique(targets)
    for place in np.flatnonzero(wrong):
        given[place] = random.choice(classes[classes != targets[place]])
    return given, wrong


def rankings(errors: LabelErrors) -> dict[str, np.ndarray]:
    """Return what each method ranks by, the most doubtful highest."""
    found = {
        "out-of-fold self-confidence": -shares(errors.model_, errors.codes_)[0],
        "agreement within the key": margin(errors.key_, errors.codes_),
        "nearest texts": margin(errors.nearest_, errors.codes_),
        "llm_pipeline: the three together": errors.score_,
    }
    if find_spec("cleanlab"):
        found |= cleanlab_rankings(errors)
    return found


def shares(opinion: csr_matrix, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the given label and the largest of any other."""
    dense = opinion.toarray()
    rows = np.arange(len(codes))
    own = dense[rows, codes]
    dense[rows, codes] = 0
    return own, dense.max(axis=1)


def margin(opinion: csr_matrix, codes: np.ndarray) -> np.ndarray:
    own, best = shares(opinion, codes)
    return best - own


def cleanlab_rankings(errors: LabelErrors) -> dict[str, np.ndarray]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    dense = complete(errors.model_)
    found = {
        f"cleanlab: {method}": -get_label_quality_scores(errors.codes_, dense, method=method)
        for method in ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes of one text, by name
        found[FLAGGED] = find_label_issues(errors.codes_, dense, n_jobs=1).astype(float)
    return found


def complete(opinion: csr_matrix) -> np.ndarray:
    """Return shares that add up to 1, as cleanlab demands: what is left over goes to all alike."""
    dense = opinion.toarray()
    left = np.clip(1 - dense.sum(axis=1, keepdims=True), 1e-6, None)
    dense += left / dense.shape[1]
    return dense / dense.sum(axis=1, keepdims=True)


def measure(name: str, score: np.ndarray, wrong: np.ndarray) -> dict[str, object]:
    """Score a ranking; ties are broken by chance. A set that is flagged has no ranking."""
    if name == FLAGGED:
        return listed(name, score > 0, wrong)
    chance = np.random.default_rng(SEED).random(len(score))
    order, k = np.lexsort((chance, -score)), int(wrong.sum())
    return {
        "method": name,
        "precision at k": f"{wrong[order[:k]].mean():.3f}",
        "recall at 2k": f"{wrong[order[: 2 * k]].sum() / k:.3f}",
        "average precision": f"{average_precision_score(wrong, score):.3f}",
    }


def listed(name: str, chosen: np.ndarray, wrong: np.ndarray) -> dict[str, object]:
    precision, recall = wrong[chosen].mean(), wrong[chosen].sum() / wrong.sum()
    told = f"precision {precision:.3f}, recall {recall:.3f}"
    return {"method": name, "listed": f"{chosen.sum()}: {told}"}


def bands(score: np.ndarray, wrong: np.ndarray) -> pd.DataFrame:
    """Show how many are wrong from one half point of score to the next."""
    edges = [-np.inf, *np.arange(2, 5.5, 0.5), np.inf]
    band = pd.cut(score, edges, right=False)
    table = pd.DataFrame({"score": band, "wrong": wrong}).groupby("score", observed=True)["wrong"]
    return table.agg(["size", "sum", "mean"]).round(3).reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task", default=",".join(FILES))
    given = parser.parse_args()
    for task in given.task.split(","):
        texts, targets = labelled(given.folder, task)
        targets, wrong = corrupt(targets)
        started = perf_counter()
        errors = LabelErrors().fit(texts, targets)
        seconds = perf_counter() - started
        found = rankings(errors)
        rows = [measure(name, score, wrong) for name, score in found.items()]
        rows.append(listed("llm_pipeline: as listed", errors.score_ >= MIN_SCORE, wrong))
        told = f"{len(texts)} texts, {len(errors.classes_)} targets, k = {wrong.sum()}"
        print(f"\n## {task}: {told}, {seconds:.0f} s\n")
        print(pd.DataFrame(rows).fillna("").to_markdown(index=False))
        print(f"\n{bands(errors.score_, wrong).to_markdown(index=False)}", flush=True)


if __name__ == "__main__":
    main()
