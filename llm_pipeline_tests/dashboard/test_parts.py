"""What pages are made of: plots, lines about events, and colours that can be read."""

import re
from importlib.resources import files

import pytest

from llm_pipeline.dashboard import charts
from llm_pipeline.dashboard.panel import Act
from llm_pipeline.dashboard.rendering import rendered
from llm_pipeline.dashboard.telling import line

CSS = files("llm_pipeline.dashboard").joinpath("assets/dashboard.css").read_text(encoding="utf-8")
READ = [
    ("ink", "ground"),
    ("ink", "sheet"),
    ("ink", "accent-wash"),
    ("soft", "ground"),
    ("soft", "sheet"),
    ("soft", "sunk"),
    ("soft", "accent-wash"),
    ("accent", "sheet"),
    ("accent", "ground"),
    ("accent", "accent-wash"),
    ("accent-ink", "accent"),
    ("wait-ink", "wait-wash"),
    ("wait-ink", "sheet"),
    ("bad", "sheet"),
    ("bad", "bad-wash"),
    ("good", "sheet"),
    ("good", "good-wash"),
    ("ground", "ink"),
]


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))


BLOCKS = {
    "light": colours(CSS[CSS.index(":root {") : CSS.index("@media")]),
    "dark": colours(CSS[CSS.index("@media") : CSS.index(":root[data-colours=dark]")]),
    "chosen": colours(CSS[CSS.index(":root[data-colours=dark]") : CSS.index("*, *::before")]),
}


def luminance(colour: str) -> float:
    """WCAG 2.2's relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", BLOCKS)
@pytest.mark.parametrize(("text", "behind"), READ)
def test_text_stands_out_from_what_is_behind_it(theme: str, text: str, behind: str) -> None:
    one, other = sorted(luminance(BLOCKS[theme][name]) for name in (text, behind))
    assert (other + 0.05) / (one + 0.05) >= 4.5


def test_dark_by_choice_is_dark_by_the_system() -> None:
    assert BLOCKS["dark"] == BLOCKS["chosen"]


def test_a_plot_says_its_numbers_and_escapes_what_it_is_given() -> None:
    drawn = charts.bars(["<b>", "Tue"], [("rows", "accent", [0, 1200])], 'told "so"')
    assert "<b>" not in drawn
    assert "Tue: 1,200 rows" in drawn
    assert 'aria-label="told &#34;so&#34;"' in drawn
    assert drawn.count("<rect") == 1


def test_a_gap_in_a_line_is_a_gap() -> None:
    drawn = charts.line(["1", "2", "3"], [("x", "accent", [0.5, None, 0.7])], "told", share=True)
    assert drawn.count("<circle") == 2
    assert drawn.count('class="line') == 0


def test_an_empty_plot_is_drawn() -> None:
    assert "<svg" in charts.bars([], [("rows", "accent", [])], "told")


def test_templates_escape_what_comes_from_the_store() -> None:
    told = rendered("told.html", message="<script>", kind="bad", number=1)
    assert "<script>" not in told
    assert "&lt;script&gt;" in told


def test_a_line_about_an_event_leaves_ids_out() -> None:
    assert line("ann", {"upload_id": 7, "filename": "a.csv", "from_row": 0}) == "ann · a.csv"


def test_an_act_without_a_form_has_an_empty_one() -> None:
    assert Act("look").form == {}
