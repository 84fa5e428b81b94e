"""A labelled file as a stream: its rows in time order, period by period."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.errors import InvalidInput
from llm_pipeline.tabular import open_source


@dataclass(frozen=True, slots=True)
class Period:
    """The rows of one time: text, normalized, key, target; `number` counts periods from 0."""

    number: int
    name: str
    rows: pd.DataFrame


def read_stream(path: Path, text: str, target: str, time: str) -> list[Period]:
    """Read a table into periods of equal time; what has no text or target is left out.

    Times are sorted as text, so that `2018-01` or `201801` are in order. Raises InvalidInput for a
    missing column.
    """
    source = open_source(path)
    there = source.schema.names
    if missing := [name for name in (text, target, time) if name not in there]:
        raise InvalidInput(
            f"{path.name} has no column {', '.join(missing)}; it has {', '.join(there)}"
        )
    columns: dict[str, list[str]] = {"text": [], "target": [], "time": []}
    for chunk in source.chunks():
        for name, column in (("text", text), ("target", target), ("time", time)):
            columns[name] += [value or "" for value in chunk.texts(column)]
    return periods_of(pd.DataFrame(columns, dtype=object))


def periods_of(rows: pd.DataFrame) -> list[Period]:
    """Return the periods of rows (text, target, time)."""
    forms = {text: normalize(text) for text in rows["text"].unique()}
    rows = rows.assign(normalized=rows["text"].map(forms).astype(object))
    rows = rows[(rows["normalized"] != "") & (rows["target"] != "")]
    keys = {form: group_key(form) for form in rows["normalized"].unique()}
    rows = rows.assign(key=rows["normalized"].map(keys).astype(object))
    parts = rows.groupby("time", sort=True)[["text", "normalized", "key", "target"]]
    return [
        Period(n, str(name), part.reset_index(drop=True)) for n, (name, part) in enumerate(parts)
    ]
