"""What a query asks: each of its words as the words that contain it, or else as the nearest.

Where many words contain a part, rows are looked at instead, and the words only serve to count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import Session

from llm_pipeline.domain.text import normalize
from llm_pipeline.store import hits, words
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import MOST_TOKENS, Condition, Filter, facets
from llm_pipeline.store.hits import Span
from llm_pipeline.store.schema import mappings
from llm_pipeline.store.vocabulary import Vocabulary

# Words that contain a short part: as many as hits are counted, and gathered in 15 ms.
MOST_GATHERED = 10_000
_NEAR = 200


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query, and the words of the vocabulary that it stands for."""

    condition: Condition
    meant: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter as conditions; `read_as` says which words were taken for which others."""

    facets: list[Condition]
    words: list[Word]
    read_as: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def conditions(self) -> list[Condition]:
        return self.facets + [word.condition for word in self.words]


def ask(deadline: Deadline, wanted: Filter) -> Asked:
    """Return what a filter asks; typos are forgiven where nothing has its words as they stand."""
    session = deadline.session
    found = facets(session, wanted)
    normalized = list(dict.fromkeys(normalize(wanted.q).split()))
    if not normalized:
        # Punctuation alone is in no normalised text.
        sought = wanted.q.strip()
        literal = mappings.c.text.contains(sought, autoescape=True)
        return Asked([*found, Condition(literal)] if sought else found, [])
    vocabulary = words.vocabulary(session)
    read = [_read(session, vocabulary, word) for word in normalized]
    asked = Asked(found, read, {})
    if all(word.meant for word in read) and _is_there(deadline, read):
        return asked
    return _forgiven(session, vocabulary, asked, normalized)


def _read(session: Session, vocabulary: Vocabulary, word: str) -> Word:
    meant = tuple(vocabulary.containing(word, MOST_GATHERED))
    tokens = meant if len(meant) <= MOST_TOKENS else ()
    return Word(Condition(_contains(session, word), tokens, is_words=True), meant)


def _is_there(deadline: Deadline, read: Sequence[Word]) -> bool:
    found = hits.ids(deadline, [word.condition for word in read], Span(1))
    return bool(found) or deadline.reached


def _forgiven(
    session: Session, vocabulary: Vocabulary, asked: Asked, normalized: Sequence[str]
) -> Asked:
    missing = any(not word.meant for word in asked.words)
    read, read_as = [], {}
    for word, exact in zip(normalized, asked.words, strict=True):
        if exact.meant and missing:
            read.append(exact)
            continue
        near = tuple(vocabulary.nearest(word, _NEAR))
        read.append(_either(session, word, exact, near))
        if near:
            read_as[word] = near
    return Asked(asked.facets, read, read_as)


def _either(session: Session, word: str, exact: Word, near: tuple[str, ...]) -> Word:
    check = or_(*(_has(session, one) for one in near), exact.condition.check)
    tokens = (*exact.meant, *near)
    if len(tokens) > MOST_TOKENS:
        return Word(Condition(check, is_words=True), tokens)
    # The word itself is in no mapping: nothing matches, and the index says so at once.
    return Word(Condition(check, tokens or (word,), is_words=True), tokens)


def _contains(session: Session, part: str) -> ColumnElement[bool]:
    within = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    return within(mappings.c.normalized, part) > 0


def _has(session: Session, word: str) -> ColumnElement[bool]:
    within = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    return within(" " + mappings.c.normalized + " ", f" {word} ") > 0
