"""Results as they come: a line of the table each, kept in a file that later runs add to."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

HEAD = (
    "| what | database | rows | ours | peer | ratio | goal | |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a ratio or a number, meant for stores of so many rows or more."""

    side: str  # "at most" or "at least"
    bound: float
    unit: str = ""
    from_rows: int = 0

    def met(self, value: float) -> bool:
        return value <= self.bound if self.side == "at most" else value >= self.bound

    def __str__(self) -> str:
        meant = f" from {self.from_rows:,} rows" if self.from_rows else ""
        return f"{self.side} {self.bound:g}{self.unit}{meant}"


@dataclass(frozen=True, slots=True)
class Line:
    """One number beside its peer; `value` is what the goal speaks of."""

    what: str
    database: str
    rows: int
    ours: str
    peer: str
    value: str
    goal: str
    met: bool | None
    raw: float
    day: str
    load: float  # what else the machine did, as its load average

    def __str__(self) -> str:
        verdict = {True: "met", False: "**not met**", None: ""}[self.met]
        cells = (self.what, self.database, f"{self.rows:,}", self.ours, self.peer, self.value)
        return "| " + " | ".join((*cells, self.goal, verdict)) + " |"


class Results:
    """The lines of one run on one database at one size, and those of earlier runs."""

    def __init__(self, folder: Path, database: str, rows: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kept = folder / "llm_center.jsonl"
        self._table = folder / "llm_center.md"
        self._database, self._rows = database, rows

    def add(self, what: str, ours: str, peer: str, value: float, goal: Goal | None = None) -> None:
        """Print a line and keep it; `value` is shown with the goal's unit."""
        shown = f"{value:,.3g}{goal.unit if goal else ''}"
        met = goal.met(value) if goal and self._rows >= goal.from_rows else None
        bound = str(goal) if goal else ""
        made = (what, self._database, self._rows, ours, peer, shown, bound, met, value)
        line = Line(*made, date.today().isoformat(), os.getloadavg()[0])
        with self._kept.open("a") as file:
            file.write(json.dumps(asdict(line)) + "\n")
        self._table.write_text("\n".join([HEAD, *map(str, self._newest())]) + "\n")
        print(line, flush=True)

    def earlier(self, what: str, rows: int) -> float | None:
        """Return the newest number of another size on the same database."""
        found = [
            line.raw
            for line in self._lines()
            if (line.what, line.database, line.rows) == (what, self._database, rows)
        ]
        return found[-1] if found else None

    def _lines(self) -> Iterator[Line]:
        if self._kept.exists():
            for line in self._kept.read_text().splitlines():
                yield Line(**json.loads(line))

    def _newest(self) -> list[Line]:
        kept = {(line.what, line.database, line.rows): line for line in self._lines()}
        return sorted(kept.values(), key=lambda line: (line.database, line.rows))
