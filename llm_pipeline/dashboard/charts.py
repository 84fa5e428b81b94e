"""Plots as SVG: they take their colours from the page, need no script, and say their numbers.

Widths are in units of the drawing; the page stretches them. Every mark has its value as a title.
"""

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 480, 170, 46, 24, 8
WIDEST_BAR = 44.0


def bars(
    labels: Sequence[str],
    stacks: Sequence[tuple[str, str, Sequence[float]]],
    told: str,
    *,
    width: int = WIDTH,
) -> Markup:
    """Draw bars, one for each label, stacked out of (name, CSS class, values)."""
    tops = [sum(values[at] for _, _, values in stacks) for at in range(len(labels))]
    most = _round_up(max(tops, default=0))
    step = (width - LEFT) / max(1, len(labels))
    wide = min(max(1.0, step * 0.72), WIDEST_BAR)
    marks = []
    for at, label in enumerate(labels):
        base = 0.0
        for name, style, values in stacks:
            if not values[at]:
                continue
            low, high = _y(base, most), _y(base + values[at], most)
            base += values[at]
            marks.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" '
                    'rx="1.5"><title>{}: {:,.0f} {}</title></rect>'
                ).format(
                    style,
                    LEFT + (at + 0.5) * step - wide / 2,
                    high,
                    wide,
                    max(1.0, low - high),
                    label,
                    values[at],
                    name,
                )
            )
    return _drawing(
        Markup("").join([_grid(most, width=width), *marks, _names(labels, step)]), told, width
    )


def line(
    labels: Sequence[str],
    lines: Sequence[tuple[str, str, Sequence[float | None]]],
    told: str,
    *,
    most: float | None = None,
    share: bool = False,
) -> Markup:
    """Draw lines over labels, out of (name, CSS class, values); None is a gap."""
    known = [value for _, _, values in lines for value in values if value is not None]
    top = most if most is not None else _round_up(max(known, default=0))
    step = (WIDTH - LEFT - 10) / max(1, len(labels) - 1)
    marks = [_grid(top, share=share)]
    for name, style, values in lines:
        points = [(LEFT + 5 + at * step, value) for at, value in enumerate(values)]
        marks += [
            Markup('<path class="line {}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(
                style, x, _y(value, top), x_next, _y(value_next, top)
            )
            for (x, value), (x_next, value_next) in pairwise(points)
            if value is not None and value_next is not None
        ]
        marks += [
            Markup(
                '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}: {} {}</title>'
                "</circle>"
            ).format(
                style,
                x,
                _y(value, top),
                3 if len(labels) < 40 else 1.6,
                label,
                _said(value, share),
                name,
            )
            for (x, value), label in zip(points, labels, strict=True)
            if value is not None
        ]
    return _drawing(Markup("").join([*marks, _names(labels, step, centred=False)]), told)


def interval(low: float, high: float, expected: float, told: str) -> Markup:
    """Draw an interval on a scale from 0, with what is expected inside it."""
    most = _round_up(high)
    x = [
        LEFT + (WIDTH - 2 * LEFT) * value / (most or 1) for value in (low, high, expected, 0, most)
    ]
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} 64" role="img" aria-label="{told}">'
        '<path class="axis" d="M{zero:.1f} 34H{most:.1f}"/>'
        '<rect class="band" x="{low:.1f}" y="25" width="{width:.1f}" height="18" rx="9"/>'
        '<circle class="dot accent" cx="{at:.1f}" cy="34" r="6"/>'
        '<text x="{low:.1f}" y="60" text-anchor="middle">{low_said}</text>'
        '<text x="{high:.1f}" y="60" text-anchor="middle">{high_said}</text>'
        '<text class="strong" x="{at:.1f}" y="17" text-anchor="middle">{said}</text></svg>'
    ).format(
        w=WIDTH,
        told=told,
        zero=x[3],
        most=x[4],
        low=x[0],
        width=x[1] - x[0],
        high=x[1],
        at=x[2],
        low_said=f"{low:,.0f}",
        high_said=f"{high:,.0f}",
        said=f"{expected:,.0f}",
    )


def curve(
    points: Sequence[tuple[float, float]], told: str, x_name: str, y_name: str, *, diagonal: bool
) -> Markup:
    """Draw shares in 0..1 against shares in 0..1; a diagonal where both should be equal."""
    width = WIDTH
    across = [(LEFT + (width - LEFT - 10) * x, _y(y, 1.0), x, y) for x, y in points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _, _ in across)
    marks = [_grid(1.0, share=True, width=width)]
    if diagonal:
        start, end = (LEFT, _y(0, 1.0)), (width - 10, _y(1, 1.0))
        marks.append(Markup('<path class="axis dashed" d="M{} {}L{} {}"/>').format(*start, *end))
    if path:
        marks.append(Markup('<path class="line accent" d="M{}"/>').format(path))
    marks += [
        Markup(
            '<circle class="dot accent" cx="{:.1f}" cy="{:.1f}" r="3">'
            "<title>{} {}, {} {}</title></circle>"
        ).format(x, y, x_name, _said(shown_x, True), y_name, _said(shown_y, True))
        for x, y, shown_x, shown_y in across
    ]
    marks.append(
        Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            width - 10, HEIGHT - 4, x_name
        )
    )
    return _drawing(Markup("").join(marks), told, width)


def _drawing(inside: Markup, told: str, width: int = WIDTH) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(width, HEIGHT, told, inside)


def _grid(most: float, *, share: bool = False, width: int = WIDTH) -> Markup:
    lines = []
    for part in (0, 0.5, 1):
        y = _y(most * part, most)
        lines.append(
            Markup(
                '<path class="axis" d="M{} {:.1f}H{}"/>'
                '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
            ).format(LEFT, y, width, LEFT - 7, y + 4, _said(most * part, share))
        )
    return Markup("").join(lines)


def _names(labels: Sequence[str], step: float, *, centred: bool = True) -> Markup:
    """The first, the last and a middle label."""
    shown = sorted({0, len(labels) // 2, len(labels) - 1}) if labels else []
    anchors = {0: "start", len(labels) - 1: "end"}
    offset = step / 2 if centred else 5
    return Markup("").join(
        Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(
            LEFT + at * step + offset,
            HEIGHT - 5,
            anchors.get(at, "middle") if len(labels) > 1 else "middle",
            labels[at],
        )
        for at in shown
    )


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value / most if most else 0)


def _round_up(value: float) -> float:
    """Return the next 1, 2, 4 or 5 times a power of ten, so that half of it reads well."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next(power * step for step in (1, 2, 4, 6, 8, 10) if power * step >= value or step == 10)


def _said(value: float, share: bool) -> str:
    if share:
        return f"{value * 100:.0f} %" if value in (0, 0.5, 1) else f"{value * 100:.1f} %"
    if value >= 10_000:
        return f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
