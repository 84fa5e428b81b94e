"""Files of made-up card and bank descriptors: any number of rows, streamed, the same for a seed.

Chains with store numbers, terminals' prefixes, order codes, cities, transfers; a known share of
rows repeats an earlier one in another spelling, and a known share is bad in a known way.
"""

import csv
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from synthetic import CITIES, TRADES, synthetic

from llm_pipeline.domain.records import Target

HEADER = ("text", "target", "time", "amount")
CHAINS = 3_000
SHOPS = 60_000
DUPLICATES = 0.15
BAD = 0.015
PROPOSED = 0.3
# How far back a repeated row may lie: bounds the memory, and is far beyond any chunk.
REMEMBERED = 50_000
MERCHANTS_SEED = 11

PREFIXES = ("SQ *", "TST* ", "SP ", "PY *", "PAYPAL *", "SQU*", "IZ *", "CKE*", "", "", "", "")
TRANSFERS = ("ACH DEBIT", "POS PURCHASE", "DIRECT PAYMENT", "ONLINE TRANSFER", "BILL PAYMENT")
REGIONS = ("ON", "WA", "IL", "MA", "CO", "TX", "OR", "BC", "NY", "CA")
CODE_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Made:
    """What is in a file, as it must come out of an upload."""

    rows: int
    duplicates: int
    bad: dict[str, int]

    @property
    def rejected(self) -> int:
        return sum(self.bad.values())


def catalogue() -> list[Target]:
    """The chains as targets; rows propose them by their keys."""
    return [
        Target(f"C{number:04}", name, _trade(name)) for number, name in enumerate(_names()[:CHAINS])
    ]


def write(path: Path, rows: int, seed: int) -> Made:
    """Write a file of descriptors once; a file that is there is described from its notes."""
    notes = path.with_suffix(".json")
    if notes.exists():
        return Made(**json.loads(notes.read_text()))
    made = Descriptors(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(made.rows(rows))
    found = Made(rows, made.duplicates, dict(made.bad))
    notes.write_text(json.dumps(asdict(found)))
    return found


def write_labelled(path: Path, rows: int, seed: int) -> None:
    """Write trusted labels: every row is good and names its chain."""
    made = Descriptors(seed)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for _ in range(rows):
            chain = made.chain()
            writer.writerow((made.at(chain), f"C{chain:04}", made.day(), made.amount()))


class Descriptors:
    """A stream of rows; `duplicates` and `bad` count what went into it."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311
        names = [name.upper() for name in _names()]
        self._chains, self._shops = names[:CHAINS], names[CHAINS:]
        self._cities = [f"{city.upper()} {region}" for city in CITIES for region in REGIONS]
        self._earlier: list[tuple[str, str]] = []
        self.duplicates = 0
        self.bad: Counter[str] = Counter()

    def rows(self, number: int) -> Iterator[tuple[str, ...]]:
        """Yield rows as their cells."""
        chance = self._dice.random
        for _ in range(number):
            drawn = chance()
            if drawn < BAD:
                yield self._bad_row()
            elif drawn < BAD + DUPLICATES and self._earlier:
                self.duplicates += 1
                text, target = self._earlier[int(chance() * len(self._earlier))]
                yield self._respelled(text), target, self.day(), self.amount()
            else:
                text, target = self._fresh()
                self._remember(text, target)
                yield text, target, self.day(), self.amount()

    def chain(self) -> int:
        """Return a chain; few have most of the rows, as in real streams."""
        return int(CHAINS * self._dice.random() ** 3)

    def at(self, chain: int) -> str:
        """Return a text of a chain: a store with a terminal, or an order with a code."""
        name, chance = self._chains[chain], self._dice.random
        if chance() < 0.4:
            return f"{name} *{self._code(8)} {REGIONS[int(chance() * len(REGIONS))]}"
        prefix = PREFIXES[int(chance() * len(PREFIXES))]
        return f"{prefix}{name} #{self._digits(4)} {self._city()} T{self._digits(5)}"

    def day(self) -> str:
        chance = self._dice.random
        return f"202{3 + int(chance() * 3)}-{1 + int(chance() * 12):02}-{1 + int(chance() * 28):02}"

    def amount(self) -> str:
        return f"{self._dice.random() ** 2 * 500:.2f}"

    def _fresh(self) -> tuple[str, str]:
        chance = self._dice.random
        kind = chance()
        if kind < 0.6:
            chain = self.chain()
            target = f"C{chain:04}" if chance() < PROPOSED else ""
            return self.at(chain), target
        shop = self._shops[int(chance() * len(self._shops))]
        if kind < 0.85:
            prefix = PREFIXES[int(chance() * len(PREFIXES))]
            return f"{prefix}{shop} {self._digits(3)}-{self._digits(7)} {self._city()}", ""
        return f"{TRANSFERS[int(chance() * 5)]} {shop} REF {self._digits(8)}", ""

    def _remember(self, text: str, target: str) -> None:
        if len(self._earlier) < REMEMBERED:
            self._earlier.append((text, target))
        else:
            self._earlier[int(self._dice.random() * REMEMBERED)] = (text, target)

    def _respelled(self, text: str) -> str:
        drawn = self._dice.random()
        if drawn < 0.4:
            return text
        return text.lower() if drawn < 0.7 else text.replace(" ", "  ").title()

    def _bad_row(self) -> tuple[str, ...]:
        kind = self._dice.choice(tuple(BAD_ROWS))
        self.bad[kind] += 1
        return BAD_ROWS[kind]

    def _digits(self, number: int) -> str:
        return str(int(self._dice.random() * 10**number)).zfill(number)

    def _code(self, length: int) -> str:
        return "".join(self._dice.choices(CODE_LETTERS, k=length))

    def _city(self) -> str:
        return self._cities[int(self._dice.random() * len(self._cities))]


BAD_ROWS: dict[str, tuple[str, ...]] = {
    "no text": ("", "", "2024-01-02", "1.00"),
    "punctuation only": ("*** - ***", "", "2024-01-02", "1.00"),
    "control character": ("NORTH\x07GATE PIZZA 12", "", "2024-01-02", "1.00"),
    "normalised form too long": ("LONG " * 600, "", "2024-01-02", "1.00"),
    "target not in the catalogue": ("CORNER SHOP 12", "NOBODY", "2024-01-02", "1.00"),
    "no amount": ("CORNER SHOP 13", "", "2024-01-02", "twelve"),
    "no time": ("CORNER SHOP 14", "", "last week", "1.00"),
    "a cell too many": ("CORNER SHOP 15", "", "2024-01-02", "1.00", "more"),
    "a cell too few": ("CORNER SHOP 16", "", "2024-01-02"),
}


def _names() -> list[str]:
    return synthetic(CHAINS + SHOPS, 1, MERCHANTS_SEED)[0]


def _trade(name: str) -> str:
    words = set(name.lower().split())
    return next((trade for trade in TRADES if trade in words), "other")
