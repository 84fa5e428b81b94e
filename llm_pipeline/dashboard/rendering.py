"""Templates into HTML: everything that comes from the store is escaped, numbers read as numbers."""

from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from llm_pipeline.dashboard import charts


def number(value: float | None) -> str:
    """Return a count with separators.

    >>> number(1234567), number(None)
    ('1,234,567', '–')
    """
    return "–" if value is None else f"{value:,.0f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as percents.

    >>> percent(0.98765), percent(None)
    ('98.8\\xa0%', '–')
    """
    return "–" if value is None else f"{value * 100:.{digits}f}\N{NO-BREAK SPACE}%"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with its digits.

    >>> decimal(0.12345), decimal(None)
    ('0.123', '–')
    """
    return "–" if value is None else f"{value:.{digits}f}"


def change(value: float, digits: int = 4) -> str:
    """Return a difference with its sign.

    >>> change(0.01234), change(-0.00001)
    ('+0.0123', '0.0000')
    """
    shown = f"{value:+.{digits}f}"
    return shown if float(shown) else shown[1:]


def size(value: int) -> str:
    """Return a number of bytes as a person says it.

    >>> size(512), size(3_400_000)
    ('512 B', '3.4 MB')
    """
    if value < 1000:
        return f"{value} B"
    for unit in ("kB", "MB"):
        value_in = value / (1e3 if unit == "kB" else 1e6)
        if value_in < 1000:
            return f"{value_in:.1f} {unit}"
    return f"{value / 1e9:.1f} GB"


def moment(value: datetime | None, how: str = "ago") -> Markup:
    """Return a time that the browser tells in its own zone: `ago`, `clock`, `day` or `full`."""
    if value is None:
        return Markup("–")
    shown = f"{value:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" data-as="{}">{}</time>').format(
        value.isoformat(), how, shown
    )


def moment_label(value: datetime) -> str:
    """Return a time as a plot names it.

    >>> moment_label(datetime(2026, 3, 2, 9, 5))
    '02 Mar 09:05'
    """
    return f"{value:%d %b %H:%M}"


def figure(value: float | None, digits: int = 3) -> str:
    """Return a number without digits where it is whole.

    >>> figure(1200.0), figure(0.5, 2), figure(None)
    ('1,200', '0.50', '–')
    """
    return decimal(value, digits) if value is None or value % 1 else number(value)


def plural(count: float, one: str, many: str = "") -> str:
    """Return a count with its noun.

    >>> plural(1, "file"), plural(2, "reply", "replies")
    ('1 file', '2 replies')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("llm_pipeline.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=number,
        percent=percent,
        change=change,
        decimal=decimal,
        figure=figure,
        moment=moment,
        size=size,
        plural=plural,
        score=lambda metrics, name: metrics.get(name),
    )
    made.globals.update(chart=charts)
    return made


_TEMPLATES = _environment()


def rendered(template: str, **values: Any) -> Markup:
    """Fill a template of the dashboard."""
    return Markup(_TEMPLATES.get_template(template).render(values))  # noqa: S704
