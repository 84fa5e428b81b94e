"""A replay as a table, as a file of all periods, and as pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llm_pipeline.model.plots import ACCENT, INK, MUTED, canvas
from llm_pipeline.replaying.tally import YEAR, Line, Summary, as_table, summed, yearly

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (ACCENT, "#b4530a", "#2f7d4f", "#7a3e9d", INK, MUTED, "#c02942", "#5b8c9e", "#a08020")
HEADINGS = (
    "policy",
    "decisions per 1,000",
    "of them audits",
    "in the second half",
    "automatic",
    "wrong as approved",
    f"worst {YEAR} periods",
    "left wrong after audits",
    f"worst {YEAR} periods",
    "stops",
)


def write(played: Mapping[str, Sequence[Line]], folder: Path) -> list[Summary]:
    """Write `replay.md`, `replay.csv`, `decisions.png` and `error.png`; return the summaries."""
    folder.mkdir(parents=True, exist_ok=True)
    summaries = [summed(policy, lines) for policy, lines in played.items()]
    (folder / "replay.md").write_text(markdown(summaries))
    tables = {policy: as_table(lines) for policy, lines in played.items()}
    pd.concat(tables, names=["policy", "number"]).to_csv(folder / "replay.csv")
    for name, picture in (("decisions.png", decisions), ("error.png", error)):
        picture(tables).savefig(folder / name, dpi=120)
    return summaries


def markdown(summaries: Sequence[Summary]) -> str:
    """Return the table of all policies."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *map(cells, summaries)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cells(summary: Summary) -> tuple[str, ...]:
    """Return the cells of a summary, under `HEADINGS`."""
    errors = (summary.wrong, summary.worst_wrong, summary.standing, summary.worst_standing)
    told = ["" if not summary.automatic else f"{100 * error:.2f} %" for error in errors]
    numbers = (summary.decisions, summary.audits, summary.second_half)
    return (
        summary.policy,
        *(f"{number:.1f}" for number in numbers),
        f"{100 * summary.automatic:.1f} %",
        *told,
        str(summary.stops),
    )


def decisions(tables: Mapping[str, pd.DataFrame]) -> "Figure":
    """Draw decisions per 1,000 rows, the mean of three periods."""
    figure, axes = canvas(9.0, 4.6)
    for colour, (policy, table) in zip(COLOURS, tables.items(), strict=False):
        sums = table[["decisions", "rows"]].rolling(3, min_periods=1).sum()
        per_thousand = 1000 * sums["decisions"] / sums["rows"]
        axes.plot(table.index, per_thousand, color=colour, linewidth=1.4, label=policy)
    axes.set_yscale("symlog", linthresh=10)
    _frame(axes, tables, "decisions per 1,000 rows (log)")
    return figure


def error(tables: Mapping[str, pd.DataFrame]) -> "Figure":
    """Draw the share of automatic approvals that were wrong, over every `YEAR` periods."""
    figure, axes = canvas(9.0, 4.6)
    for colour, (policy, table) in zip(COLOURS, tables.items(), strict=False):
        if table["automatic"].sum():
            share = 100 * yearly(table, "wrong")
            axes.plot(share.index, share, color=colour, linewidth=1.4, label=policy)
    axes.set_ylim(bottom=0)
    _frame(axes, tables, f"% wrong as approved, {YEAR} periods")
    return figure


def _frame(axes: "Axes", tables: Mapping[str, pd.DataFrame], label: str) -> None:
    names = next(iter(tables.values()))["period"].tolist()
    some = range(0, len(names), max(1, len(names) // YEAR))
    axes.set_xticks(some, [names[place] for place in some], rotation=60)
    axes.set_ylabel(label)
    axes.legend(frameon=False, fontsize=8, ncols=2)
