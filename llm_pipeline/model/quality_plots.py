"""A picture of a quality report for people: what drifted how far, and how the shares moved.

Drawn from what the report keeps, whenever somebody asks for it.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from llm_pipeline.model.plots import ACCENT, INK, MUTED, canvases, shorten

BARS = 12  # words or targets that are drawn
ALARM = "#b42318"


def quality_picture(content: Mapping[str, Any]) -> bytes:
    """Return a PNG of the drift in a report's content; one that says so where none can be told."""
    parts = content.get("drift", {}).get("parts", [])
    figure, panels = canvases(7.2, 2.4 + 2.6 * len(parts), heights=[1] * (1 + len(parts)))
    _measures(panels[0], parts)
    for axes, part in zip(panels[1:], parts, strict=True):
        _shares(axes, part)
    picture = BytesIO()
    figure.savefig(picture, dpi=110, format="png")
    return picture.getvalue()


def _measures(axes: Any, parts: list[dict[str, Any]]) -> None:
    """Each measure as a share of its limit."""
    axes.set_title("Drift of the last week, as a share of what is large", color=INK, size=10)
    if not parts:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "too few submissions to tell", ha="center", color=INK)
        return
    names = [part["name"] for part in parts]
    values = [max(0.0, part["value"] / part["limit"]) for part in parts]
    colours = [ALARM if part["large"] else ACCENT for part in parts]
    axes.barh(names, values, color=colours)
    axes.axvline(1, color=MUTED, linestyle="--", linewidth=1)
    axes.set_xlim(0, max(1.2, *values))
    axes.invert_yaxis()


def _shares(axes: Any, part: dict[str, Any]) -> None:
    """What was most frequent, before and now."""
    shown = part["shares"][:BARS]
    places = range(len(shown))
    axes.bar([p - 0.2 for p in places], [one[1] for one in shown], 0.4, color=MUTED, label="before")
    axes.bar([p + 0.2 for p in places], [one[2] for one in shown], 0.4, color=ACCENT, label="now")
    names = [shorten(one[0]) for one in shown]
    axes.set_xticks(list(places), names, rotation=40, ha="right", parse_math=False)
    axes.set_title(f"{part['name']}: {part['measure']} {part['value']:.3f}", color=INK, size=10)
    axes.legend(frameon=False, fontsize=8)
