"""Pieces of a page that NiceGUI keeps in step with the server: HTML, and a place to drop files."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from markupsafe import Markup
from nicegui.element import Element
from nicegui.events import GenericEventArguments

_DIGITS = 19  # of numbers that are all below 2**63


@dataclass(frozen=True, slots=True)
class Act:
    """What a person did in a panel: `do` and `arg` as its HTML says, `form` what they filled in.

    It comes from a browser: whoever handles it takes none of it on trust.
    """

    do: str
    arg: str = ""
    form: dict[str, str] = field(default_factory=dict)

    @property
    def number(self) -> int | None:
        """The id that `arg` is, if it is one."""
        return number_in(self.arg)


Heard = Callable[[Act], Awaitable[None]]


class Panel(Element, component="panel.js"):
    """HTML that was rendered with escaping, and changes in place."""

    def __init__(self, html: Markup, heard: Heard | None = None, keys: Sequence[str] = ()) -> None:
        super().__init__()
        self._props["html"] = str(html)
        self._props["keys"] = list(keys)
        if heard is not None:
            self.on("act", lambda event: heard(_act(event)))

    def show(self, html: Markup) -> None:
        """Change what it shows; the same again costs nothing."""
        if self._props["html"] != str(html):
            self._props["html"] = str(html)
            self.update()


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the form that goes with a file: which of its columns holds something, and what
    that is called as a rule."""

    name: str
    label: str
    usual: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a place for files takes: how a browser chooses them, in words, which columns it asks
    for, and whether they are rows that come in for review."""

    accept: str
    told: str
    columns: tuple[Column, ...] = ()
    are_rows: bool = False


ROWS = Taken(
    ".csv,.gz,.jsonl,.parquet,.xlsx,.tsv,.txt",
    "CSV, JSONL (both also .gz), Parquet, XLSX",
    (
        Column("text_column", "Text column", "text"),
        Column("target_column", "Target column", "target"),
        Column("time_column", "Time column"),
        Column("amount_column", "Amount column"),
    ),
    are_rows=True,
)
TARGETS = Taken(
    ".csv,.gz,.tsv,.txt",
    "CSV (also .gz); a column “category” and all others come along",
    (Column("key_column", "Key column", "key"), Column("name_column", "Name column", "name")),
)
MODELS = Taken(".zip", "the .zip that Export gave")


class Drop(Element, component="drop.js"):
    """Takes files and sends them to a route of the API; `sent` hears of each."""

    def __init__(
        self, url: str, sent: Callable[[], Awaitable[None]], takes: Taken, *, trusted: bool
    ) -> None:
        super().__init__()
        self._props["url"] = url
        self._props["takes"] = asdict(takes)
        self._props["trusted"] = trusted
        self.on("sent", lambda _: sent())


def _act(event: GenericEventArguments) -> Act:
    said: dict[str, Any] = event.args if isinstance(event.args, dict) else {}
    form = said.get("form")
    filled = form.items() if isinstance(form, dict) else ()
    return Act(
        str(said.get("do", "")),
        str(said.get("arg", "")),
        {str(name): str(value) for name, value in filled},
    )


def number_in(given: str) -> int | None:
    """Return the id that a part of an address is, None if no row of a store could have it."""
    if not (given.isascii() and given.isdecimal() and len(given) < _DIGITS):
        return None
    return int(given)
