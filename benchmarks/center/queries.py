"""Searches as people type them, made of the texts that a store holds; the same for a seed."""

import random
from dataclasses import dataclass, field

from sqlalchemy import text

from llm_pipeline.store.engine import Session

KINDS = (
    "word",
    "part of a word",
    "several words",
    "words and a part",
    "number",
    "typo",
    "word, filtered",
    "several words, filtered",
)
FILTERS = (
    {"status": "approved"},
    {"status": "pending"},
    {"source": "upload", "status": "approved"},
    {"target": "C0003"},
    {"target": "C0040", "status": "pending"},
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SAMPLED = 1_000


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for: words, and what the list is narrowed by."""

    kind: str
    q: str
    filters: dict[str, str] = field(default_factory=dict)

    def params(self, limit: int = 50) -> dict[str, str | int]:
        return {"q": self.q, "limit": limit, **self.filters}


def searches(session: Session, number: int, seed: int) -> list[Search]:
    """Return varied searches, as many of each kind."""
    dice = random.Random(seed)  # noqa: S311
    texts = _sampled(session, dice)
    return [_search(KINDS[n % len(KINDS)], texts, dice) for n in range(number)]


def _sampled(session: Session, dice: random.Random) -> list[str]:
    last = session.execute(text("SELECT max(id) FROM mappings")).scalar_one()
    wanted = ", ".join(str(dice.randint(1, last)) for _ in range(_SAMPLED))
    rows = session.execute(
        text(f"SELECT normalized FROM mappings WHERE id IN ({wanted}) ORDER BY id")  # noqa: S608
    )
    return [row[0] for row in rows]


def _search(kind: str, texts: list[str], dice: random.Random) -> Search:
    words: list[str] = []
    numbers: list[str] = []
    while len(words) < 2 or not numbers:
        chosen = dice.choice(texts).split()
        words = [word for word in chosen if word.isalpha() and len(word) > 3]
        numbers = [word for word in chosen if word.isdigit() and len(word) > 3]
    word = dice.choice(words)
    filters = dice.choice(FILTERS) if kind.endswith("filtered") else {}
    said = {
        "part of a word": lambda: part(word, dice),
        "several words": lambda: " ".join(words[:3]),
        "words and a part": lambda: f"{words[0]} {part(words[1], dice)}",
        "number": lambda: dice.choice(numbers),
        "typo": lambda: mistyped(word, dice),
        "several words, filtered": lambda: " ".join(words[:2]),
    }.get(kind, lambda: word)()
    return Search(kind, said, filters)


def part(word: str, dice: random.Random) -> str:
    """Return three letters or more out of a word."""
    size = dice.randint(3, max(3, len(word) - 1))
    start = dice.randint(0, len(word) - size)
    return word[start : start + size]


def mistyped(word: str, dice: random.Random) -> str:
    """Return a word with one slip: a letter lost, doubled, another, or two swapped."""
    place = dice.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    return dice.choice(
        (
            before + after,
            before + letter + letter + after,
            before + dice.choice(LETTERS.replace(letter, "")) + after,
            before + after[0] + letter + after[1:],
        )
    )
