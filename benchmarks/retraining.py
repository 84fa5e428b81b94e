"""Seconds from the start of a retraining over a whole labelled stream to the champion that serves.

    python benchmarks/retraining.py STREAM.parquet --text text --target target --out FILE

Every row goes in as a trusted label; the steps of the job `learning` run twice: the first model,
and the retraining of it with a hundred texts more, compared with the champion, promoted, and loaded
by a recogniser in service. Peak memory is of the whole process.
"""

import argparse
import tempfile
from pathlib import Path

import pandas as pd
from measuring import peak_megabytes, timed

from llm_pipeline import loop
from llm_pipeline.config import Settings
from llm_pipeline.domain.records import Status, Target
from llm_pipeline.steps.ingest import Job, ingest_file
from llm_pipeline.steps.load import load_targets
from llm_pipeline.steps.promote import promote
from llm_pipeline.wiring import Parts, now

ACTOR = "benchmark"
MORE = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stream", type=Path)
    parser.add_argument("--text", default="text")
    parser.add_argument("--target", default="target")
    parser.add_argument("--out", type=Path, required=True, help="file to write the result to")
    given = parser.parse_args()
    frame = pd.read_parquet(given.stream)[[given.text, given.target]].dropna()
    frame.columns = pd.Index(["text", "target"])
    with tempfile.TemporaryDirectory(prefix="retraining-") as home:
        told = _measured(Parts(Settings(home=Path(home))), frame)
    given.out.write_text(told)
    print(told)


def _measured(parts: Parts, frame: pd.DataFrame) -> str:
    parts.migrate()
    keys = sorted(frame["target"].astype(str).unique())
    with parts.begin() as session:
        load_targets(session, [Target(key, key) for key in keys], ACTOR, now())
    _ingest(parts, frame.iloc[:-MORE], "first.csv")
    first, first_seconds = timed(lambda: loop.learn(parts, "first", ACTOR))
    serving = parts.serving()
    _ingest(parts, frame.iloc[-MORE:], "more.csv")

    def retrain() -> bool:
        learned = loop.learn(parts, "retraining", ACTOR, promote=False)
        with parts.begin() as session:
            # Promoted whatever the comparison says: what is measured is the way into service.
            promote(session, parts.registry, learned.model.version, "measured", ACTOR, now())
        with parts.read() as session:
            serving.refresh(session)
        return serving.version == learned.model.version

    serves, seconds = timed(retrain)
    if not serves:
        raise AssertionError(f"model {serving.version} serves, not the new one")
    peak = peak_megabytes()
    return (
        f"{len(frame):,} labelled rows, {first.model.metrics['accuracy']:.3f} right on the stream: "
        f"first training {first_seconds:.0f} s, retraining until the new champion serves "
        f"{seconds:.0f} s, peak memory {peak:,.0f} MB\n"
    )


def _ingest(parts: Parts, frame: pd.DataFrame, name: str) -> None:
    path = parts.settings.path(name)
    frame.to_csv(path, index=False)
    ingest_file(parts.database, Job(path, ACTOR, Status.APPROVED), now, lambda _told: None)


if __name__ == "__main__":
    main()
