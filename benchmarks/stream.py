"""One stream, learned up to a month and recognised from it on, beside two peers in the same run.

    python benchmarks/stream.py FILE --text text --target mcc --time month --from 201707

FILE is a CSV (`.gz` too) in time order. Everything goes through the product's own steps: catalogue,
ingest through the gate into SQLite, training set, gate, training, MLflow, promotion; then the later
rows are recognised, memory frozen. The peers learn and answer the same rows: a dictionary from
normalised text to its last label, and plain TF-IDF with LinearSVC. Prints a Markdown table.
"""

import argparse
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import peak_megabytes, timed
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Status, Target
from llm_pipeline.domain.rows import Columns
from llm_pipeline.domain.text import normalize
from llm_pipeline.loop import learn
from llm_pipeline.model.evaluation import best_answers, scores
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.load import load_targets
from llm_pipeline.wiring import Parts, now

ACTOR = "benchmark"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--target", default="target")
    parser.add_argument("--time", default="time")
    parser.add_argument("--from", dest="start", required=True, help="first time that is recognised")
    given = parser.parse_args()
    rows = pd.read_csv(given.file, dtype=str, keep_default_na=False)
    rows = rows.rename(columns={given.text: "text", given.target: "target", given.time: "time"})[
        ["text", "target", "time"]
    ]
    before, after = rows[rows["time"] < given.start], rows[rows["time"] >= given.start]
    with tempfile.TemporaryDirectory() as home:
        report(Path(home), before, after)


def report(home: Path, before: pd.DataFrame, after: pd.DataFrame) -> None:
    parts = Parts(Settings(home=home))
    parts.migrate()
    ingest_seconds = ingest(parts, home, before, sorted({*before["target"], *after["target"]}))
    memory_before = peak_megabytes()
    learned = learn(parts, "benchmark", ACTOR)
    serving = parts.serving()
    texts = after["text"].tolist()
    answers, seconds = timed(lambda: serving.recognize(texts, 1))
    own, own_sure = best_answers(answers)
    memory_after = peak_megabytes()

    seen = after["text"].map(normalize).isin(set(before["text"].map(normalize))).to_numpy()
    wanted = after["target"].to_numpy(object)
    print(f"{len(before)} rows learned, {len(after)} recognised, {seen.mean():.1%} of texts seen\n")
    print("| recogniser | rows | accuracy | macro-F1 | coverage at 95 % | ECE | Brier |")
    print("|---|---|---|---|---|---|---|")
    groups = {"all": np.ones(len(after), bool), "seen": seen, "unseen": ~seen}
    for name, rows in groups.items():
        found = scores(wanted[rows], own[rows], own_sure[rows])
        print(
            f"| llm_pipeline, {name} | {found.rows} | {found.accuracy:.4f} | {found.macro_f1:.4f} "
            f"| {found.coverage_at_95:.4f} | {found.ece:.4f} | {found.brier:.4f} |"
        )
    peer_seconds = {}
    for peer, answer in (("dictionary of texts", dictionary), ("TF-IDF + LinearSVC", linear)):
        given, peer_seconds[peer] = answer(before, texts)
        for name, rows in groups.items():
            right = float((given[rows] == wanted[rows]).mean())
            print(f"| {peer}, {name} | {rows.sum()} | {right:.4f} | | | | |")
    svc_fit, svc_answer = peer_seconds["TF-IDF + LinearSVC"]
    fit = learned.model.metrics["training_seconds"]
    print("\n| what | llm_pipeline | TF-IDF + LinearSVC | ratio |\n|---|---|---|---|")
    print(f"| fit, s | {fit:.1f} | {svc_fit:.1f} | {fit / svc_fit:.2f} |")
    print(
        f"| recognise, texts/s | {len(texts) / seconds:,.0f} | {len(texts) / svc_answer:,.0f} "
        f"| {svc_answer / seconds:.2f} |"
    )
    plain = plain_seconds(home / "before.csv", home / "plain.db")
    print(
        f"\ningest {len(before) / ingest_seconds:,.0f} rows/s, {ingest_seconds / plain:.1f} x the "
        f"time of pandas `read_csv` and `to_sql` into a bare table ({plain:.1f} s); "
        f"peak memory {memory_before:,.0f} MB up to ingest, {memory_after:,.0f} MB in all"
    )


def ingest(parts: Parts, home: Path, rows: pd.DataFrame, keys: list[str]) -> float:
    with parts.begin() as session:
        load_targets(session, [Target(key, key) for key in keys], ACTOR, now())
    path = home / "before.csv"
    rows.to_csv(path, index=False)
    job = Job(path, ACTOR, Status.APPROVED, Columns())
    done, seconds = timed(lambda: ingest_file(parts.database, job, now, lambda _rows: None))
    assert done.accepted == len(rows), f"{done.rejected} rows were set aside"  # noqa: S101
    return seconds


def dictionary(before: pd.DataFrame, texts: list[str]) -> tuple[np.ndarray, tuple[float, float]]:
    known, fit = timed(
        lambda: pd.Series(before["target"].to_numpy(), before["text"].map(normalize)).to_dict()
    )
    given, answer = timed(lambda: [known.get(normalize(text), "") for text in texts])
    return np.array(given, dtype=object), (fit, answer)


def linear(before: pd.DataFrame, texts: list[str]) -> tuple[np.ndarray, tuple[float, float]]:
    distinct = before.drop_duplicates("text", keep="last")
    model = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True), LinearSVC()
    )
    _, fit = timed(lambda: model.fit(distinct["text"], distinct["target"]))
    given, answer = timed(lambda: model.predict(texts))
    return given.astype(object), (fit, answer)


def plain_seconds(path: Path, database: Path) -> float:
    """The same rows without gate, normalisation, de-duplication, mappings and log."""
    with sqlite3.connect(database) as connection:
        return timed(lambda: pd.read_csv(path, dtype=str).to_sql("rows", connection))[1]


if __name__ == "__main__":
    main()
