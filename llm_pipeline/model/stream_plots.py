"""Pictures of an answered stream: its calibration, risk against coverage, accuracy over time."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llm_pipeline.model.evaluation import BINS, scored
from llm_pipeline.model.plots import (
    ACCENT,
    INK,
    MUTED,
    canvas,
    canvases,
    frame_risk,
    nothing_yet,
    reliability,
    risks,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 30
FEWEST = 10  # answers that a point in time needs
COLOURS = {"all rows": INK, "unseen texts": ACCENT, "truly new": "#b4530a"}
# A thousand points are a smooth line; of each of a million rows, a picture would take a minute.
LINE_POINTS = 1_000


def draw_stream(stream: pd.DataFrame, folder: Path) -> list[Path]:
    """Write `reliability.png`, `risk_coverage.png` and `accuracy_over_time.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Callable[[pd.DataFrame], Figure]] = {
        "reliability.png": reliability_of_parts,
        "risk_coverage.png": risk_of_parts,
        "accuracy_over_time.png": accuracy_over_time,
    }
    for name, picture in pictures.items():
        figure = picture(stream) if len(stream) else nothing_yet()
        figure.savefig(folder / name, dpi=120)
    return [folder / name for name in pictures]


def reliability_of_parts(stream: pd.DataFrame) -> "Figure":
    """Draw how often answers were right against the probability they came with, part by part."""
    edges = np.linspace(0, 1, BINS + 1)
    figure, (above, below) = canvases(6.4, 6.6, heights=[3, 1])
    above.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect")
    for size, (name, part) in zip((9, 6, 3), parts(stream).items(), strict=False):
        said, right, count = reliability(part)
        label = f"{name}: ECE {scored(part).ece:.3f}, {len(part):,}"
        above.plot(said, right, color=COLOURS[name], marker="o", markersize=size, label=label)
        below.stairs(count, edges, color=COLOURS[name], linewidth=1.4)
    above.set(xlim=(0, 1.02), ylim=(0, 1.02), ylabel="share right")
    above.set_title("Calibration over the stream, each row answered before it was learned", size=10)
    above.legend(frameon=False, loc="upper left", fontsize=9)
    below.set_yscale("symlog")
    below.set(xlim=(0, 1.02), xlabel="probability of the answer", ylabel="rows (log)")
    return figure


def risk_of_parts(stream: pd.DataFrame) -> "Figure":
    """Draw the share of wrong answers when only the most confident ones are given."""
    figure, axes = canvas(6.4, 4.4)
    highest = 0.0
    for name, part in parts(stream).items():
        covered, risk = risks(part)
        shown = np.unique(np.linspace(0, len(risk) - 1, LINE_POINTS).astype(int))
        label = f"{name}: {scored(part).coverage_at_95:.1%} answered at 95 % right"
        axes.plot(covered[shown], risk[shown], color=COLOURS[name], linewidth=1.8, label=label)
        highest = max(highest, float(risk[-1]))
    frame_risk(axes, highest, "rows")
    axes.set_title("Risk and coverage over the stream", size=10)
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    return figure


def accuracy_over_time(stream: pd.DataFrame) -> "Figure":
    """Draw the accuracy of stretches of equally many rows, in their order."""
    figure, axes = canvas(7.6, 4.4)
    for name, part in parts(stream).items():
        line = stretches(stream, part)
        label = f"{name}: {part['correct'].mean():.3f}"
        axes.plot(line.index, line, color=COLOURS[name], marker="o", markersize=3, label=label)
    axes.set(ylim=(0, 1.02), ylabel="share right", xlabel=_time_axis(stream)[1])
    axes.set_title("Accuracy over time, each row answered before it was learned", size=10)
    axes.legend(frameon=False, loc="lower right", fontsize=9)
    return figure


def stretches(stream: pd.DataFrame, part: pd.DataFrame) -> "pd.Series[float]":
    """Return the share right of `part` in each stretch of the stream, by the stretch's middle.

    Stretches with fewer than `FEWEST` answers of the part are left out, unless all have fewer.
    """
    order = pd.Series(np.arange(len(stream)), index=stream.index)
    stretch = order * min(POINTS, len(stream)) // len(stream)
    middle = _time_axis(stream)[0].groupby(stretch).median()
    found = part["correct"].groupby(stretch[part.index]).agg(["mean", "size"])
    kept = found[found["size"] >= min(FEWEST, found["size"].max())]
    return pd.Series(kept["mean"].to_numpy(), index=middle[kept.index].to_numpy())


def _time_axis(stream: pd.DataFrame) -> "tuple[pd.Series[Any], str]":
    """Return each row's place: its time, or its number where all arrived within a day."""
    if "at" in stream:
        at = pd.to_datetime(stream["at"], utc=True).dt.tz_localize(None)
        if at.max() - at.min() >= pd.Timedelta(days=1):
            return at, "time"
    return pd.Series(np.arange(len(stream), dtype=float), index=stream.index), "rows so far"


def parts(stream: pd.DataFrame) -> dict[str, pd.DataFrame]:
    found = {
        "all rows": stream,
        "unseen texts": stream[stream["memory"] != "exact"],
        "truly new": stream[stream["memory"] == "none"],
    }
    return {name: part for name, part in found.items() if len(part)}
