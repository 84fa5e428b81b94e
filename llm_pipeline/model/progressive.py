"""Progressive evaluation: a labelled stream in time order, each row answered before it is learned.

Memory is exact for every row. What memory does not know is answered in batches of `BATCH` texts, by
a recogniser that has learned all rows before the batch. Its weights are refitted at `CUTS` only, so
they are older than those of a product that learns every night: the figures of new texts are rather
too low. The catalogue is today's for every row.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.base import clone

from llm_pipeline.domain.records import Target
from llm_pipeline.model.evaluation import best_answers, extra_of, scored, taught
from llm_pipeline.model.recognizer import Recognizer
from llm_pipeline.model.trust import replay

# Nearly all of the time goes into these fits. The first two are cheap, and without weights that
# early a stream would be judged by a beginning that no installation has for long.
CUTS = (0.02, 0.1, 0.4, 0.7, 0.85)
BATCH = 500
RECENT = 0.7  # the rows from here on tell how good the recogniser is by now


def answer_stream(
    recognizer: Recognizer,
    rows: pd.DataFrame,
    catalogue: Sequence[Target] = (),
    cuts: Sequence[float] = CUTS,
) -> pd.DataFrame:
    """Answer `rows` (text, normalized, key, target; a line per labelled row, in time order) with
    recognisers that have the parameters of the one given, and have learned the rows before.

    Returns them with `memory` (`exact`: the text was seen by letters, `key`, or `none`: truly new),
    `learned` (texts that taught the row's target before it), `predicted`, `probability`,
    `evidence`, `correct` and `recent`. Without any candidate all but the evidence `none` is empty.
    """
    stream = rows.reset_index(drop=True)
    replayed = replay(stream)
    stream["memory"] = stream["evidence"] = replayed["evidence"].astype(object)
    stream["learned"] = _texts_learned(stream)
    stream["predicted"] = _remembered(stream)
    bounds = sorted({len(stream), *(int(cut * len(stream)) for cut in cuts)})
    stream["probability"] = 0.0
    for start, end in pairwise([0, *bounds]):
        before, segment = stream.iloc[:start], stream.iloc[start:end]
        last = before.drop_duplicates("normalized", keep="last")
        learned = taught(clone(recognizer), last, before, catalogue)
        stream.loc[segment.index, "probability"] = learned.trust_.of_replay(replayed[start:end])
        _answer_new(stream, segment, learned)
    stream["correct"] = (stream["predicted"] == stream["target"]).astype(bool)
    return stream.assign(recent=np.arange(len(stream)) >= int(RECENT * len(stream)))


def parts(stream: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the parts of an answered stream that are scored apart, by the prefix of their names.

    `unseen` texts are new by their letters; the `new` among them also by their key.
    """
    recent = stream[stream["recent"]]
    return {
        "progressive_": stream,
        "progressive_seen_": stream[stream["memory"] == "exact"],
        "progressive_unseen_": stream[stream["memory"] != "exact"],
        "progressive_new_": stream[stream["memory"] == "none"],
        "progressive_recent_": recent,
        "progressive_recent_unseen_": recent[recent["memory"] != "exact"],
        "progressive_recent_new_": recent[recent["memory"] == "none"],
    }


def metrics(stream: pd.DataFrame) -> dict[str, float]:
    """Score every part, under the names of `Scores` behind its prefix."""
    found: dict[str, float] = {}
    for prefix, part in parts(stream).items():
        found |= scored(part).as_metrics(prefix)
    return found


def _texts_learned(stream: pd.DataFrame) -> "pd.Series[int]":
    new = (~stream.duplicated(["normalized", "target"])).astype(int)
    return new.groupby(stream["target"]).cumsum() - new


def _answer_new(stream: pd.DataFrame, segment: pd.DataFrame, recognizer: Recognizer) -> None:
    """Write the answers to the rows that memory did not know into the stream."""
    texts, targets = stream["text"].tolist(), stream["target"].tolist()
    new = segment.index[segment["memory"] == "none"].tolist()
    done = int(segment.index[0]) if new else 0
    for start in range(0, len(new), BATCH):
        batch = new[start : start + BATCH]
        for place in range(done, batch[0]):
            recognizer.learn(texts[place], targets[place])
        done = batch[0]
        found = recognizer.recognize(
            [texts[place] for place in batch],
            1,
            use_memory=False,
            extra=extra_of(stream.loc[batch]),
        )
        stream.loc[batch, "predicted"], stream.loc[batch, "probability"] = best_answers(found)
        stream.loc[batch, "evidence"] = [
            answer.candidates[0].evidence if answer.candidates else "none" for answer in found
        ]


def _remembered(stream: pd.DataFrame) -> "pd.Series[str]":
    """Return memory's answer to each row, empty where it has none."""
    exact = stream.groupby("normalized")["target"].shift()
    under_key = stream.groupby("key")["target"].shift()
    answer = exact.where(stream["memory"] == "exact", under_key)
    return answer.where(stream["memory"] != "none", "").astype(object)
