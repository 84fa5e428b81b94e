"""What columns beside the text add on truly new keys: accuracy and Brier score, with and without.

    python benchmarks/extra_columns.py DATA_FOLDER

DATA_FOLDER has the City of Toronto's purchase cards as `toronto_pcard_2011_2018/data.parquet`. The
first 70 % of rows are learned, in time order; answered is the first row of each grouping key that
is new in the rest. Each line learns anew; `used` says whether the columns passed their test, on
keys held out of the learned rows. Prints a Markdown table.
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from llm_pipeline.domain.extra import Extra
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.evaluation import best_answers, scores
from llm_pipeline.model.recognizer import Recognizer

LEARNED_SHARE = 0.7
SEED = 7
TRIED = (
    (),
    ("noise",),
    ("amount",),
    ("month",),
    ("gl_desc",),
    ("division",),
    ("gl_desc", "division"),
    ("gl_desc", "division", "amount"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    rows = toronto(parser.parse_args().folder)
    split = int(LEARNED_SHARE * len(rows))
    learned, rest = rows[:split], rows[split:]
    new = rest[~rest["key"].isin(set(learned["key"]))].drop_duplicates("key")
    print(f"{len(learned):,} rows learned, {len(new):,} truly new keys answered\n")
    print("| columns | used | tested: only with, only without | accuracy | Brier | fit s |")
    print("|---|---|---|---|---|---|")
    for columns in TRIED:
        print(line(columns, learned, new), flush=True)


def toronto(folder: Path) -> pd.DataFrame:
    rows = pd.read_parquet(folder / "toronto_pcard_2011_2018/data.parquet")
    rows = rows.rename(columns={"mcc": "target"})
    rows["month"] = rows["month"].str[-2:]
    rows["normalized"] = rows["text"].map(normalize)
    rows["key"] = rows["normalized"].map(group_key)
    rows["noise"] = np.random.default_rng(SEED).integers(0, 50, len(rows)).astype(str)
    return rows


def line(columns: tuple[str, ...], learned: pd.DataFrame, new: pd.DataFrame) -> str:
    texts = learned.drop_duplicates("normalized", keep="last")
    started = perf_counter()
    recognizer = Recognizer().fit(
        texts["text"].tolist(),
        texts["target"].tolist(),
        history=learned[["normalized", "key", "target"]],
        extra=said(texts, columns),
    )
    seconds = perf_counter() - started
    answers = recognizer.recognize(new["text"].tolist(), 1, extra=said(new, columns))
    found = scores(new["target"].to_numpy(object), *best_answers(answers))
    test = recognizer.extra_test_
    tested = f"{test.only_with}, {test.only_without} (p {test.p:.2g})" if test else ""
    used = ("yes" if recognizer.extra_used_ else "no") if columns else ""
    return (
        f"| {', '.join(columns) or 'none'} | {used} | {tested} | {found.accuracy:.4f} "
        f"| {found.brier:.4f} | {seconds:.0f} |"
    )


def said(rows: pd.DataFrame, columns: tuple[str, ...]) -> list[Extra | None] | None:
    return rows[list(columns)].to_dict("records") if columns else None


if __name__ == "__main__":
    main()
