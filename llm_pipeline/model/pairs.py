"""Texts as the weights see them: pairs of grouping key and target, and which of them come later."""

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from llm_pipeline.domain.extra import Tokens
from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.features import Ints

CUTS = (0.4, 0.6, 0.8)  # of the keys in time, where weights are fitted to answer the next fifth


def keys_of(texts: Collection[str]) -> list[str]:
    return [group_key(normalize(text)) for text in texts]


def distinct_pairs(
    texts: Collection[str], y: Collection[str], extra: Sequence[Tokens] | None = None
) -> pd.DataFrame:
    """Return key, target and the number of texts of each pair; a wordless text teaches nothing.

    With `extra`, what columns beside each text say, also that of the pair's last text.
    """
    rows = pd.DataFrame({"key": keys_of(texts), "target": list(y)}, dtype=object)
    rows["place"] = np.arange(len(rows))
    grouped = rows[rows["key"] != ""].groupby(["key", "target"])["place"]
    pairs = grouped.agg(texts="size", place="last").reset_index()
    last = pairs.pop("place")
    return pairs if extra is None else pairs.assign(extra=[extra[place] for place in last])


def told(pairs: pd.DataFrame) -> list[Tokens] | None:
    """Return what columns say of each pair, None where none were asked for."""
    return pairs["extra"].tolist() if "extra" in pairs else None


def later_keys(pairs: pd.DataFrame, first_seen: Mapping[str, int]) -> list[tuple[Ints, Ints]]:
    """Return places of the pairs up to each cut in time, and of those from there to the next."""
    # A key without a place in time was learned last.
    last = len(first_seen)
    time = pairs["key"].map(lambda key: first_seen.get(key, last)).to_numpy(np.int64)
    cuts = [*np.quantile(time, CUTS), np.inf]
    splits = [
        (np.flatnonzero(time < start), np.flatnonzero((time >= start) & (time < end)))
        for start, end in itertools.pairwise(cuts)
    ]
    return [(before, after) for before, after in splits if len(before) and len(after)]
