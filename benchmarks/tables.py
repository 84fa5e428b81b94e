"""Results for people and for programs: Markdown tables, a picture per task, JSON."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tasks import Task

from llm_pipeline.model.evaluation import BINS, PRECISION

if TYPE_CHECKING:
    from recognition import Result

SCORES = (
    "| recogniser | rows | accuracy | macro-F1 | coverage at 95 % | ECE | Brier | texts/s "
    "| points over the best peer | speed, x of it |"
)
COSTS = "| recogniser | fit, s | peak memory, MB | of that before fit |"
# Below this a bin's share of right answers is noise in the picture.
LEAST_IN_BIN = 5


def markdown(task: Task, results: Sequence["Result"]) -> str:
    ran = [result for result in results if not result.problem]
    parts = [f"## {task.name}\n\n{task.about}.", _sizes(task)]
    parts += [_scores(group, ran) for group in task.groups if group not in task.unscored]
    if task.extras:
        parts.append(_extras(ran))
    parts.append(_costs(ran))
    parts += [f"- {r.name}: not run, {r.problem}" for r in results if r.problem]
    return "\n\n".join(parts) + "\n"


def _sizes(task: Task) -> str:
    targets = {*task.targets, *(target.key for target in task.catalogue)}
    return (
        f"{len(task.texts):,} rows learned, catalogue of {len(task.catalogue):,}, "
        f"{len(targets):,} targets in all; top {task.top_k} asked for."
    )


def _scores(group: str, ran: Sequence["Result"]) -> str:
    lines = [f"**{group}**\n", SCORES, _rule(SCORES)]
    found = {result.name: result.answered[group].summary() for result in ran}
    peers = [result for result in ran if not result.own]
    best = max(peers, key=lambda result: found[result.name].accuracy, default=None)
    for result in ran:
        batch, row = result.answered[group], found[result.name]
        over, speed = "", ""
        if best is not None:
            over = f"{100 * (row.accuracy - found[best.name].accuracy):+.1f}"
            speed = f"{batch.texts_per_second / best.answered[group].texts_per_second:.2f}"
        lines.append(
            f"| {result.name} | {row.rows:,} | {row.accuracy:.4f} | {row.macro_f1:.4f} "
            f"| {row.coverage_at_95:.4f} | {row.ece:.4f} | {row.brier:.4f} "
            f"| {batch.texts_per_second:,.0f} | {over} | {speed} |"
        )
    return "\n".join(lines)


def _extras(ran: Sequence["Result"]) -> str:
    header = "| recogniser | " + " | ".join(ran[0].extras if ran else []) + " |"
    rows = [
        f"| {result.name} | " + " | ".join(f"{v:.4f}" for v in result.extras.values()) + " |"
        for result in ran
    ]
    return "\n".join([header, _rule(header), *rows])


def _costs(ran: Sequence["Result"]) -> str:
    rows = [
        f"| {r.name} | {r.fit_seconds:.1f} | {r.peak_mb:,.0f} | {r.start_mb:,.0f} |" for r in ran
    ]
    return "\n".join([COSTS, _rule(COSTS), *rows])


def _rule(header: str) -> str:
    return "|---" * (header.count("|") - 1) + "|"


def draw(task: Task, results: Sequence["Result"], path: Path) -> None:
    """Draw reliability and risk against coverage, one line per recogniser, one row per group."""
    groups = [group for group in task.groups if group not in task.unscored]
    figure = Figure(figsize=(12, 4.2 * len(groups)), layout="constrained")
    places = figure.subplots(len(groups), 2, squeeze=False)
    colours = mpl.colormaps["tab10"]
    for group, (left, right) in zip(groups, places, strict=True):
        left.plot([0, 1], [0, 1], color="#9aa5b1", linestyle="--", linewidth=1)
        right.axhline(1 - PRECISION, color="#9aa5b1", linestyle="--", linewidth=1)
        for number, result in enumerate(r for r in results if not r.problem):
            style = {"color": colours(number), "linewidth": 2.4 if result.own else 1.2}
            _reliability(left, result, group, style)
            _risk_coverage(right, result, group, style)
        left.set(title=f"{task.name}, {group}: reliability", xlim=(0, 1), ylim=(0, 1.02))
        left.set(xlabel="confidence", ylabel="share right")
        right.set(title=f"{task.name}, {group}: risk and coverage", xlim=(0, 1))
        right.set(xlabel="share answered, most confident first", ylabel="share wrong")
        right.set_ylim(bottom=0)
    lines = [line for line in places[0][0].lines if not line.get_label().startswith("_")]
    figure.legend(handles=lines, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def _reliability(axes: Axes, result: "Result", group: str, style: dict[str, object]) -> None:
    batch = result.answered[group]
    bins = np.minimum((batch.sure * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    filled = count >= LEAST_IN_BIN
    right = np.bincount(bins, batch.right, minlength=BINS)[filled] / count[filled]
    said = np.bincount(bins, batch.sure, minlength=BINS)[filled] / count[filled]
    axes.plot(said, right, marker="o", markersize=3, label=result.name, **style)


def _risk_coverage(axes: Axes, result: "Result", group: str, style: dict[str, object]) -> None:
    batch = result.answered[group]
    order = np.argsort(-batch.sure, kind="stable")
    given = np.arange(1, len(order) + 1)
    axes.plot(given / len(order), np.cumsum(~batch.right[order]) / given, **style)


def write_json(done: dict[str, list["Result"]], path: Path) -> None:
    numbers = {task: [_numbers(result) for result in results] for task, results in done.items()}
    path.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


def _numbers(result: "Result") -> dict[str, object]:
    groups = {
        group: {
            **batch.summary().as_metrics(),
            "seconds": batch.seconds,
            "texts_per_second": batch.texts_per_second,
        }
        for group, batch in result.answered.items()
    }
    kept = ("name", "problem", "fit_seconds", "start_mb", "peak_mb", "extras")
    return {**{name: getattr(result, name) for name in kept}, "groups": groups}
