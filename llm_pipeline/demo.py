"""Sample input for a first run: real companies and tickers, generated texts.

The catalogue comes from the package pytickersymbols. Texts, times and amounts are generated from a
seed in the forms that card statements, bank statements and custody files have; every row says that
it is sample data. Measure a recogniser on data of your own, not on this.
"""

import csv
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytickersymbols import PyTickerSymbols

from llm_pipeline.domain.records import Submission, Target
from llm_pipeline.domain.text import MAX_TEXT_LENGTH

NOTE = "sample data"
HISTORY_ROWS = 4_000
SUBMISSION_ROWS = 1_500
KNOWN_TARGETS = 450

_HISTORY_STARTS = datetime(2026, 1, 5, tzinfo=UTC)
_HISTORY_ENDS = datetime(2026, 7, 1, tzinfo=UTC)
_SUBMISSIONS_END = datetime(2026, 8, 1, tzinfo=UTC)

# fmt: off
# The package mixes three classifications; what is in neither table keeps its own label.
_SECTORS = (
    "Communication Services", "Consumer Discretionary", "Consumer Staples", "Energy", "Financials",
    "Health Care", "Industrials", "Information Technology", "Materials", "Real Estate", "Utilities",
)
_SECTOR_OF = {
    "Apparel": "Consumer Discretionary", "Basic Materials": "Materials",
    "Beverage": "Consumer Staples", "Beverages": "Consumer Staples",
    "Biotechnology": "Health Care", "Computer Software": "Information Technology",
    "Consumer Cyclicals": "Consumer Discretionary", "Consumer Non-Cyclicals": "Consumer Staples",
    "Cybersecurity": "Information Technology", "E-commerce": "Consumer Discretionary",
    "Entertainment": "Communication Services", "Healthcare": "Health Care",
    "Hydrocarbon exploration": "Energy", "Internet": "Consumer Discretionary",
    "Lodging": "Consumer Discretionary", "Medical/Dental Instruments": "Health Care",
    "Network security": "Information Technology", "Online food ordering": "Consumer Discretionary",
    "Ordnance & Accessories": "Industrials", "Semiconductors": "Information Technology",
    "Technology": "Information Technology", "Telecommunications": "Communication Services",
    "Transportation": "Industrials",
}
_CONSUMER = {"Communication Services", "Consumer Discretionary", "Consumer Staples"}

# What stands on a statement where it is not the company's name.
_TRADE_NAMES = {
    "AAPL": ("APPLE.COM/BILL 866-712-7753 CA", "APL*ITUNES.COM/BILL {phone} CA"),
    "AMZN": ("AMZN MKTP US*{code}", "AMZN DIGITAL*{code} 888-802-3080 WA", "AWS EMEA {code}"),
    "CMCSA": ("XFINITY MOBILE {phone} PA", "NBCU PEACOCK {code}"),
    "DASH": ("DD *DOORDASH {word} {phone} CA",),
    "DIS": ("DISNEYPLUS {phone} CA", "HULU {code} SANTA MONICA CA"),
    "DRI": ("OLIVE GARDEN {store} {place}", "LONGHORN STEAK {store} {place}"),
    "GOOGL": ("GOOGLE *YOUTUBEPREMIUM {phone} CA", "GOOGLE *CLOUD {code}"),
    "META": ("FACEBK *{code} MENLO PARK CA", "INSTAGRAM ADS {code}"),
    "MSFT": ("MSFT *XBOX {phone} WA", "LINKEDIN PREM *{code}", "GITHUB, INC. {phone} CA"),
    "MTCH": ("TINDER PLUS {phone} CA", "HINGE {code}"),
    "T": ("ATT*BILL PAYMENT {phone} TX", "ATT* MOBILITY {code}"),
    "TJX": ("MARSHALLS #{store} {place}", "HOMEGOODS #{store} {place}"),
    "TPR": ("COACH FACTORY #{store} {place}", "KATE SPADE {store} {place}"),
    "UBER": ("UBER   *TRIP {phone} CA", "UBER   *EATS HELP.UBER.COM CA"),
    "VZ": ("VZWRLSS*APOCC VISB {phone} FL",),
    "YUM": ("TACO BELL {store} {place}", "KFC #{store} {place}", "PIZZA HUT {store} {place}"),
}
_NO_COMPANY = (
    "ATM WITHDRAWAL {store} {place}", "INTEREST CREDIT {code}", "MONTHLY SERVICE FEE",
    "CHECK {store}", "ZELLE TO {word} {code}", "PAYROLL DIRECT DEP {code}",
    "TST* {word}S KITCHEN {place}", "SQ *{word} HAIR STUDIO {place}", "IRS USATAXPYMT {code}",
    "CITY OF {place} PARKING {store}", "US TREASURY BILL {code}", "{word} FAMILY DENTAL {place}",
)
_BAD_TEXTS = ("", "***", " - / - ", "#", "A" * (MAX_TEXT_LENGTH + 1))
# Tickers that are no longer in use: their rows go to quarantine.
_BAD_HISTORY = (("TWITTER INC COM STK", "TWTR"), ("FACEBK *7HK2M9 MENLO PARK CA", "FB"))

_CARD = (
    "{b22} #{store} {place}", "{b25} {place}", "{b22} {store} {place}", "SQ *{b18} {place}",
    "SP {b18} {place}", "PAYPAL *{b14} {phone} CA", "{b18}.COM*{code} {phone}",
    "POS PURCHASE {b22} {store}", "CHECKCARD {day} {b22} {place}", "{b14} *{code} {phone} {state}",
)
_BANK = (
    "{b16} DES:PAYMENT ID:{code}{store} CO ID:{phone} PPD", "ACH DEBIT {b22} BILLPAY {code}",
    "{b22} AUTOPAY {day}{store}", "WIRE OUT {legal25} REF {code}", "{b16} EDI PYMNTS {code}",
)
_CUSTODY = (
    "{Legal} - com stk", "{LEGAL} COM", "{LEGAL} CL A", "{LEGAL} COM USD0.01", "{legal25}",
    "{key} US EQUITY", "DIVIDEND {LEGAL}", "{Legal} ({key})", "BUY {store} {legal25}",
)
_ABROAD = ("{LEGAL} SPON ADR", "{Legal} - ord shs", "{LEGAL} ADR REP 1")
_ABBREVIATIONS = {
    "American": "Amern", "Communications": "Comm", "Company": "Co", "Corporation": "Corp",
    "Electric": "Elec", "Energy": "Engy", "Enterprise": "Entpr", "Financial": "Finl",
    "General": "Genl", "Group": "Grp", "Holdings": "Hldgs", "Industries": "Inds",
    "International": "Intl", "Laboratories": "Labs", "Limited": "Ltd", "Management": "Mgmt",
    "Materials": "Matls", "Pharmaceuticals": "Pharm", "Properties": "Pptys", "Resources": "Res",
    "Services": "Svcs", "Systems": "Sys", "Technologies": "Tech", "Technology": "Tech",
}
_PLACES = (
    "SEATTLE WA", "SAN FRAN CA", "AUSTIN TX", "CHICAGO IL", "NEW YORK NY", "DENVER CO", "BOSTON MA",
    "ATLANTA GA", "MIAMI FL", "PORTLAND OR", "PHOENIX AZ", "LAS VEGAS NV", "COLUMBUS OH",
)
_WORDS = ("LUCIA", "MARTIN", "OAKWOOD", "J SMITH", "HARBOR", "SUNRISE", "NGUYEN", "MAPLE", "GREEN")
# fmt: on
_LEGAL = re.compile(
    r"^The |,? (Inc\.?|Incorporated|Corporation|Corp|Company|Co\.|plc|Limited|Group|Holdings)$"
    r"|,? (&|and)$| \(.*\)$"
)
_CODE = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """`truth` answers `submissions` row by row."""

    targets: Path
    approved: Path
    submissions: Path
    truth: Path


def sample_targets() -> list[Target]:
    """Return one target per company of three US indices, sorted by ticker."""
    symbols, indices = PyTickerSymbols(), ("S&P 500", "NASDAQ 100", "DOW JONES")
    stocks = {s["symbol"]: s for index in indices for s in symbols.get_stocks_by_index(index)}
    # One ticker per company: of two share classes the last by the alphabet (GOOGL, FOXA, NWSA).
    named = {stocks[key]["name"]: key for key in sorted(stocks)}
    return [_target(stocks[key]) for key in sorted(named.values())]


def sample_history(seed: int = 7, rows: int = HISTORY_ROWS) -> list[Submission]:
    """Return approved mappings in time order: few companies often, most of them rarely."""
    return list(_Statements(seed).history(rows))


def sample_submissions(seed: int = 7, rows: int = SUBMISSION_ROWS) -> Iterator[Submission]:
    """Yield what arrives after the history, in time order and without targets.

    `extra["truth"]` is the company meant ("" for none), `extra["kind"]` why it is there: `repeat`,
    `variant` (of a known company), `new_company`, `no_company` or `bad`.
    """
    statements = _Statements(seed)
    list(statements.history(HISTORY_ROWS))  # what repeats must have come before
    yield from statements.arrivals(rows)


def write_sample(folder: Path, seed: int = 7) -> SampleFiles:
    """Write the catalogue, the history and the submissions as CSV files; the same for a seed."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("targets", "approved", "submissions", "submissions_truth")
    files = SampleFiles(*(folder / f"{name}.csv" for name in names))
    statements = _Statements(seed)
    history = list(statements.history(HISTORY_ROWS))
    arrivals = list(statements.arrivals(SUBMISSION_ROWS))
    _write(files.targets, [_target_row(target) for target in sample_targets()])
    _write(files.approved, _rows(history, "text", "target", "time", "amount", "note"))
    _write(files.submissions, _rows(arrivals, "text", "time", "amount", "note"))
    _write(files.truth, _rows(arrivals, "text", "truth", "kind", "note"))
    return files


class _Statements:
    """Generates texts of companies; remembers them, so that some come again letter by letter."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - sample data, not a secret
        targets = sample_targets()
        self.rng.shuffle(targets)
        self.known = targets[:KNOWN_TARGETS]
        self.new = targets[KNOWN_TARGETS:]
        self.weights = [_weight(rank, target) for rank, target in enumerate(self.known)]
        self.texts: dict[str, list[str]] = {}

    def history(self, rows: int) -> Iterator[Submission]:
        drawn = self.rng.choices(self.known, self.weights, k=max(0, rows - len(self.known)))
        companies = self.rng.sample([*self.known, *drawn], rows)
        meant = [(self._statement(t), t.key) for t in companies]
        meant = self.rng.sample([*meant, *_BAD_HISTORY], rows + len(_BAD_HISTORY))
        moments = self._moments(len(meant), _HISTORY_STARTS, _HISTORY_ENDS)
        for (text, key), moment in zip(meant, moments, strict=True):
            yield replace(self._row(text, moment), target=key)

    def arrivals(self, rows: int) -> Iterator[Submission]:
        kinds = ("repeat", "variant", "new_company", "no_company")
        drawn = self.rng.choices(kinds, (38, 40, 8, 14), k=rows - len(_BAD_TEXTS))
        meant = [self._arrival(kind) for kind in drawn] + [(text, "", "bad") for text in _BAD_TEXTS]
        moments = self._moments(rows, _HISTORY_ENDS, _SUBMISSIONS_END)
        for (text, truth, kind), moment in zip(self.rng.sample(meant, rows), moments, strict=True):
            yield replace(self._row(text, moment), extra={"truth": truth, "kind": kind})

    def _arrival(self, kind: str) -> tuple[str, str, str]:
        if kind == "no_company":
            return self._filled(self.rng.choice(_NO_COMPANY)), "", kind
        if kind == "new_company":
            target = self.rng.choice(self.new)
        else:
            (target,) = self.rng.choices(self.known, self.weights)
        if kind == "repeat":
            return self.rng.choice(self.texts[target.key]), target.key, kind
        return self._variant(target), target.key, kind

    def _statement(self, target: Target) -> str:
        before = self.texts.setdefault(target.key, [])
        if before and self.rng.random() < 0.4:
            return self.rng.choice(before)
        before.append(self._variant(target))
        return before[-1]

    def _variant(self, target: Target) -> str:
        return self._worn(self._worn(self._filled(self._form(target), target)))

    def _form(self, target: Target) -> str:
        if target.key in _TRADE_NAMES and self.rng.random() < 0.5:
            return self.rng.choice(_TRADE_NAMES[target.key])
        custody = _CUSTODY if target.attributes["isin"][:2] in ("", "US") else _CUSTODY + _ABROAD
        shares = (70, 15, 15) if target.category in _CONSUMER else (20, 30, 50)
        return self.rng.choice(self.rng.choices((_CARD, _BANK, custody), shares)[0])

    def _filled(self, form: str, target: Target | None = None) -> str:
        place = self.rng.choice(_PLACES)
        words = {
            "place": place,
            "state": place[-2:],
            "store": f"{self.rng.randrange(10, 9_999):04d}",
            "phone": f"8{self.rng.randrange(10**8, 10**9)}",
            "day": f"{self.rng.randrange(1, 13):02d}{self.rng.randrange(1, 29):02d}",
            "code": "".join(self.rng.choices(_CODE, k=7)),
            "word": self.rng.choice(_WORDS),
        }
        return form.format(**words, **(_names(target) if target else {}))

    def _worn(self, text: str) -> str:
        """Change a text as systems and people do."""
        how = self.rng.choices(("", "lower", "vowels", "cut", "swap"), (50, 8, 16, 13, 13))[0]
        if how == "vowels":
            return re.sub(r"(?<=\w)[aeiouAEIOU](?=\w)", "", text)
        if how == "cut":
            return text[: self.rng.choice((18, 20, 22, 25))].rstrip()
        if how == "swap":
            at = self.rng.randrange(len(text) - 1)
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        return text.lower() if how == "lower" else text

    def _moments(self, count: int, start: datetime, end: datetime) -> list[datetime]:
        seconds = int((end - start).total_seconds())
        return sorted(start + timedelta(seconds=self.rng.randrange(seconds)) for _ in range(count))

    def _row(self, text: str, moment: datetime) -> Submission:
        amount = round(self.rng.lognormvariate(3.4, 1.2), 2)
        return Submission(text, note=NOTE, occurred_at=moment, amount=amount)


def _weight(rank: int, target: Target) -> float:
    return float((3 if target.category in _CONSUMER else 1) / (rank + 8) ** 0.7)


def _target(stock: dict[str, Any]) -> Target:
    labels = [_SECTOR_OF.get(name, name) for name in stock["industries"]]
    isins = stock.get("isins") or [""]
    attributes = {"headquarters": stock.get("country", ""), "isin": isins[0], "sample": "true"}
    category = next((label for label in labels if label in _SECTORS), labels[0])
    return Target(stock["symbol"], stock["name"], category, attributes)


def _names(target: Target) -> dict[str, str]:
    """Return the company's name in the lengths and spellings that forms ask for."""
    brand = target.name
    while (shorter := _LEGAL.sub("", brand)) != brand:
        brand = shorter
    legal = " ".join(_ABBREVIATIONS.get(word.strip(","), word) for word in target.name.split())
    forms = {f"b{length}": brand.upper()[:length].rstrip() for length in (14, 16, 18, 22, 25)}
    forms["legal25"] = legal.upper()[:25].rstrip()
    return forms | {"key": target.key, "Legal": legal, "LEGAL": legal.upper()}


def _target_row(target: Target) -> dict[str, str]:
    return {"key": target.key, "name": target.name, "category": target.category} | target.attributes


def _rows(submissions: list[Submission], *columns: str) -> list[dict[str, str]]:
    rows = []
    for one in submissions:
        time = one.occurred_at.isoformat() if one.occurred_at else ""
        cells = {"text": one.text, "target": one.target, "time": time, "amount": one.amount}
        cells |= {"note": one.note, **one.extra}
        rows.append({column: str(cells[column]) for column in columns})
    return rows


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
