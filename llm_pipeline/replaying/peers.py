"""What others do with the same stream: by hand, memory of texts, logistic regression, an oracle.

None of them audits: what was approved without a person is never looked at again. A person decides
each distinct text of a period that is not approved, once for each of its targets.
"""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from llm_pipeline.model.peers import TextRegression
from llm_pipeline.replaying.player import trains_after
from llm_pipeline.replaying.stream import Period
from llm_pipeline.replaying.tally import Line

SURE = 0.9
Hear = Callable[[int], None]
Answers = Mapping[str, tuple[str, float]]


def by_hand(stream: Sequence[Period]) -> list[Line]:
    """Every distinct text of every period."""
    return [_line(period, {}) for period in stream]


def exact_memory(stream: Sequence[Period]) -> list[Line]:
    """What a person once said of a text, for ever."""
    known: dict[str, str] = {}
    lines = []
    for period in stream:
        taken = {text: known[text] for text in period.rows["normalized"].unique() if text in known}
        lines.append(_line(period, taken))
        known |= _said(period, taken)
    return lines


def logistic_regression(
    stream: Sequence[Period], *, memory: bool, hear: Hear = lambda _: None
) -> list[Line]:
    """Answers of at least `SURE`; with `memory`, texts that a person decided before any of them."""
    known: dict[str, str] = {}
    model: TextRegression | None = None
    lines = []
    for period in stream:
        texts = period.rows["normalized"].unique().tolist()
        taken = {text: known[text] for text in texts if memory and text in known}
        rest = [text for text in texts if text not in taken]
        if model is not None and rest:
            answers, chances = model.surest(rest)
            sure = zip(rest, answers, chances, strict=True)
            taken |= {text: answer for text, answer, chance in sure if chance >= SURE}
        lines.append(_line(period, taken))
        known |= _said(period, taken)
        if trains_after(period.number):
            model = TextRegression().fit(list(known), list(known.values()))
        hear(period.number + 1)
    return lines


def oracle(stream: Sequence[Period], max_error: float) -> list[Line]:
    """Memory by text, then by key, kept up to date; only wrong groups are shown, and of those the
    ones of most rows, until `max_error` of the rows approved are wrong. No rule can do better with
    that memory."""
    texts: dict[str, str] = {}
    keys: dict[str, str] = {}
    lines = []
    for period in stream:
        rows = period.rows
        names = zip(rows["normalized"], rows["key"], strict=True)
        answer = pd.Series(
            [texts.get(text, keys.get(key, "")) for text, key in names], dtype=object
        )
        wrong = answer != rows["target"]
        table = pd.DataFrame({"key": rows["key"], "answer": answer, "wrong": wrong})
        table["target"] = rows["target"]
        groups = table.groupby(["key", "answer"], sort=False).agg(
            rows=("wrong", "size"), wrong=("wrong", "sum"), labels=("target", "nunique")
        )
        worst = groups.sort_values("wrong", ascending=False, kind="stable")
        left_wrong = worst["wrong"].sum() - worst["wrong"].cumsum().shift(fill_value=0)
        left_rows = worst["rows"].sum() - worst["rows"].cumsum().shift(fill_value=0)
        shown = left_wrong > max_error * left_rows
        kept = worst[~shown]
        lines.append(
            Line(
                period.name,
                len(rows),
                decisions=int(worst.loc[shown, "labels"].sum()),
                audits=0,
                automatic=int(kept["rows"].sum()),
                wrong=int(kept["wrong"].sum()),
                standing=int(kept["wrong"].sum()),
            )
        )
        # The last one of a name counts.
        texts |= dict(zip(rows["normalized"], rows["target"], strict=True))
        keys |= dict(zip(rows["key"], rows["target"], strict=True))
    return lines


def _line(period: Period, taken: Mapping[str, str]) -> Line:
    """Count a period of which the texts in `taken` were approved with those answers."""
    rows = period.rows
    answer = rows["normalized"].map(taken).astype(object)
    automatic = answer.notna()
    shown = rows[~automatic]
    wrong = int((answer[automatic] != rows.loc[automatic, "target"]).sum())
    decisions = len(shown.drop_duplicates(["normalized", "target"]))
    return Line(period.name, len(rows), decisions, 0, int(automatic.sum()), wrong, wrong)


def _said(period: Period, taken: Mapping[str, str]) -> dict[str, str]:
    """Return what a person said last of each text that was shown."""
    shown = period.rows[~period.rows["normalized"].isin(taken.keys())]
    return dict(zip(shown["normalized"], shown["target"], strict=True))
