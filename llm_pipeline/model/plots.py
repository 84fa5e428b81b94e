"""Pictures of an evaluation for people: confusion, calibration, risk against coverage.

matplotlib is imported inside functions, without pyplot: no global state, any thread may draw.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from llm_pipeline.model.evaluation import BINS, PRECISION, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FREQUENT = 20
OTHER = "any other"
LONGEST_NAME = 24
Floats = npt.NDArray[np.float64]
INK, MUTED, ACCENT = "#1f2933", "#9aa5b1", "#1f5fa8"


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write `confusion.png`, `calibration.png` and `risk_coverage.png`; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Callable[[Evaluation], Figure]] = {
        "confusion.png": confusion,
        "calibration.png": calibration,
        "risk_coverage.png": risk_coverage,
    }
    for name, picture in pictures.items():
        figure = picture(evaluation) if len(evaluation.texts) else nothing_yet()
        figure.savefig(folder / name, dpi=120)
    return [folder / name for name in pictures]


def confusion(evaluation: Evaluation) -> "Figure":
    """Draw the most frequent targets against the answers, each row adding up to 1."""
    frequent = pd.Series(evaluation.target).value_counts().index[:FREQUENT].tolist()
    shares = confusion_shares(evaluation, frequent)
    side = 2.4 + 0.36 * len(frequent)
    figure, axes = canvas(side + 2.4, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = [shorten(name) for name in frequent]
    axes.set_xticks(range(len(names) + 1), [*names, OTHER], rotation=90, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.6 else INK
            percent = f"{100 * share:.0f}"
            axes.text(column, row, percent, ha="center", va="center", size=7, color=colour)
    axes.set(xlabel="answer", ylabel="target")
    axes.set_title(f"Answers by target, in %, {_texts(evaluation)}")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the target's texts")
    return figure


def confusion_shares(evaluation: Evaluation, frequent: list[str]) -> npt.NDArray[np.float64]:
    """Return one row per frequent target, one column per frequent answer and one for all others."""
    places = {name: place for place, name in enumerate(frequent)}
    rows = np.array([places.get(name, -1) for name in evaluation.target])
    columns = np.array([places.get(name, -1) for name in evaluation.predicted])
    counts = np.zeros((len(frequent), len(frequent) + 1))
    np.add.at(counts, (rows[rows >= 0], columns[rows >= 0]), 1)  # -1, no place: the last column
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def calibration(evaluation: Evaluation) -> "Figure":
    """Draw how often answers were right against the probability they came with, and how many."""
    edges = np.linspace(0, 1, BINS + 1)
    said, right, count = reliability(evaluation.answers)
    figure, (above, below) = canvases(6.4, 6.6, heights=[3, 1])
    above.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect")
    above.plot(said, right, color=ACCENT, marker="o", label="held-out texts")
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share right")
    above.set_title(f"Calibration: ECE {evaluation.unseen.ece:.3f}, {_texts(evaluation)}")
    above.legend(frameon=False, loc="upper left")
    bars = below.bar(edges[:-1], count, width=0.9 / BINS, align="edge", color=ACCENT, alpha=0.7)
    below.bar_label(bars, [str(n) if n else "" for n in count], size=7, padding=1)
    below.set(xlim=(0, 1), xlabel="probability of the answer", ylabel="texts")
    below.margins(y=0.2)
    return figure


def risk_coverage(evaluation: Evaluation) -> "Figure":
    """Draw the share of wrong answers when only the most confident ones are given."""
    covered, risk = risks(evaluation.answers)
    figure, axes = canvas(6.4, 4.4)
    axes.plot(covered, risk, color=ACCENT, linewidth=1.8)
    frame_risk(axes, risk.max(), "texts")
    share = evaluation.unseen.coverage_at_95
    axes.set_title(
        f"Risk and coverage: {share:.1%} answered at {PRECISION:.0%} right, {_texts(evaluation)}"
    )
    return figure


def reliability(answers: pd.DataFrame) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Return mean probability and share right of the bins that hold answers; all bins' counts."""
    sure = answers["probability"].to_numpy(np.float64)
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    filled = count > 0
    right = np.bincount(bins, answers["correct"], minlength=BINS)[filled] / count[filled]
    said = np.bincount(bins, sure, minlength=BINS)[filled] / count[filled]
    return said, right, count


def risks(answers: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return the share answered and the share of wrong answers in it, most confident first."""
    order = np.argsort(-answers["probability"].to_numpy(np.float64), kind="stable")
    given = np.arange(1, len(order) + 1)
    return given / len(order), np.cumsum(~answers["correct"].to_numpy(bool)[order]) / given


def frame_risk(axes: "Axes", highest: float, what: str) -> None:
    axes.axhline(1 - PRECISION, color=MUTED, linestyle="--", linewidth=1)
    axes.annotate(
        f"{1 - PRECISION:.0%} wrong", (1, 1 - PRECISION), (-4, 4),
        textcoords="offset points", ha="right", color=INK, size=9,
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, max(0.1, 1.08 * highest)))
    axes.set(xlabel=f"share of {what} answered, most confident first", ylabel="share wrong")


def shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _texts(evaluation: Evaluation) -> str:
    return f"{len(evaluation.texts):,} held-out text{'s'[: len(evaluation.texts) != 1]}"


def nothing_yet() -> "Figure":
    figure, axes = canvas(6.4, 3)
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no held-out rows yet", ha="center", va="center", size=14, color=INK)
    return figure


def canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    figure, (axes,) = canvases(width, height, heights=[1])
    return figure, axes


def canvases(width: float, height: float, heights: list[int]) -> "tuple[Figure, Any]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    stacked = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes in stacked:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=INK, labelsize=8)
    return figure, stacked
