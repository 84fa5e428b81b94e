"""How the recogniser bears size: half a million approved texts, and training as rows grow.

    python benchmarks/scale.py --texts 500000 --rows 10000,100000,1000000,5000000 --out FOLDER

Merchants are made up by seed (`synthetic.py`); each belongs to the category of its trade word. Rows
of a stream draw merchants by Zipf's law, so that most repeat, as in real ones. The peer of loading
is `pickle` of the same texts and targets as a plain dictionary; of training, linear growth.
"""

import argparse
import json
import pickle
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from measuring import peak_megabytes, timed
from synthetic import TRADES, corrupt, synthetic

from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model import bundle
from llm_pipeline.model.recognizer import Recognizer

SEED = 5
ASKED = 1_000
LEARNED = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=500_000)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = {"one text": one_text(given.texts), "training": []}
    for rows in map(int, given.rows.split(",")):
        found["training"].append(training(rows))
        print(json.dumps(found["training"][-1]), flush=True)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "scale.json").write_text(json.dumps(found, indent=1))


def one_text(size: int) -> dict[str, float]:
    """Approve `size` texts, save and load them, then ask and learn one at a time."""
    dice = random.Random(SEED)  # noqa: S311
    names, _, _ = synthetic(size // 5, 1, SEED)
    texts = list({corrupt(names[n % len(names)], dice): None for n in range(size)})
    targets = [trade(text) for text in texts]
    # Weights of a tenth are enough here: what is timed does not hang on how many were learned.
    teaches = np.arange(len(texts)) % 10 == 0
    recognizer, fit = timed(lambda: Recognizer().fit(texts, targets, teaches=teaches))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        saved = timed(lambda: bundle.save(recognizer, place))[1]
        megabytes = sum(file.stat().st_size for file in place.iterdir()) / 1e6
        recognizer, loaded = timed(lambda: bundle.load(place))
        (place / "peer.pickle").write_bytes(pickle.dumps(dict(zip(texts, targets, strict=True))))
        peer = timed(lambda: pickle.loads((place / "peer.pickle").read_bytes()))[1]  # noqa: S301
    unknown = [corrupt(name, dice) for name in synthetic(ASKED, 1, SEED + 1)[0]]
    known = dice.sample(texts, ASKED)
    learn = [f"{first} {number}" for number, first in enumerate(unknown[:LEARNED])]
    found = {
        "texts": len(texts),
        "keys": len(recognizer.memory_.latest),
        "fit, s": fit,
        "save, s": saved,
        "bundle, MB": megabytes,
        "load, s": loaded,
        "load of a pickled dictionary, s": peer,
        "known text, p95 ms": p95(lambda text: recognizer.recognize([text]), known),
        "unknown text, p95 ms": p95(lambda text: recognizer.recognize([text]), unknown),
        "approval to recognised, p95 ms": p95(lambda text: known_at_once(recognizer, text), learn),
        "peak memory, MB": peak_megabytes(),
    }
    print(json.dumps(found), flush=True)
    return found


def known_at_once(recognizer: Recognizer, text: str) -> None:
    recognizer.learn(text, "learned")
    answer = recognizer.recognize([text])[0]
    assert answer.target == "learned", answer  # noqa: S101


def training(rows: int) -> dict[str, float]:
    """Learn a stream of `rows` with its whole history."""
    dice = np.random.default_rng(SEED)
    pool = synthetic(max(1_000, rows // 20), 1, SEED)[0]
    drawn = np.minimum(dice.zipf(1.3, rows), len(pool)) - 1
    normalized = [normalize(name) for name in pool]
    history = pd.DataFrame(
        {
            "normalized": np.array(normalized, dtype=object)[drawn],
            "key": np.array([group_key(text) for text in normalized], dtype=object)[drawn],
            "target": np.array([trade(text) for text in normalized], dtype=object)[drawn],
        }
    )
    texts = history.drop_duplicates("normalized", keep="last")
    names, targets = texts["normalized"].tolist(), texts["target"].tolist()
    _, fit = timed(lambda: Recognizer().fit(names, targets, history=history))
    return {
        "rows": rows,
        "texts": len(texts),
        "fit, s": fit,
        "microseconds a row": 1e6 * fit / rows,
        "peak memory, MB": peak_megabytes(),
    }


def trade(text: str) -> str:
    words = set(normalize(text).split())
    return next((word for word in TRADES if word in words), f"other {len(text) % 7}")


def p95(call: Callable[[str], object], texts: list[str]) -> float:
    taken = [timed(lambda text=text: call(text))[1] for text in texts]
    return float(np.percentile(taken, 95) * 1000)


if __name__ == "__main__":
    main()
