"""What a query asks: each of its words as the words that contain it, or else as the nearest.

Where many words contain a part, rows are looked at instead, and the words only serve to count.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.orm import Session

from llm_pipeline.domain.text import normalize
from llm_pipeline.store import hits, words
from llm_pipeline.store.deadline import Deadline
from llm_pipeline.store.filters import MOST_TOKENS, Condition, Filter, facets
from llm_pipeline.store.schema import mappings
from llm_pipeline.store.stretches import Span
from llm_pipeline.store.vocabulary import Vocabulary

# Conditions that leave no more rows than these are followed by looking at the rows.
FEW = 2_000
_NEAR = 200


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """A word of a query.

    Attributes
    ----------
    part : the word as it stands
    meant : the words that contain it, not all if they are too many for one look at the index
    near : words that are taken for it
    """

    condition: Condition
    part: str
    meant: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter as conditions.

    Attributes
    ----------
    read_as : which words were taken for which others
    is_few : some conditions leave so few rows that the others are checked on these
    """

    facets: list[Condition]
    words: list[Word]
    read_as: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_few: bool = False

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
    asked = _lean(deadline, Asked([], read))
    if not all(word.meant for word in read) or not _is_there(deadline, asked):
        asked = _lean(deadline, _forgiven(session, vocabulary, read))
    return _lean(deadline, replace(asked, facets=found))


def _read(session: Session, vocabulary: Vocabulary, word: str) -> Word:
    meant = tuple(islice(vocabulary.containing(word), MOST_TOKENS + 1))
    tokens = meant if len(meant) <= MOST_TOKENS else ()
    return Word(Condition(_contains(session, word), tokens, is_words=True), word, meant)


def _lean(deadline: Deadline, asked: Asked) -> Asked:
    """Where some conditions leave few rows, check the words that stand for many on these."""
    narrow = [one for one in asked.conditions if not _is_wide(deadline, one)]
    if asked.is_few or not narrow or len(narrow) == len(asked.conditions):
        return asked
    if hits.count(deadline, narrow, FEW + 1) > FEW:
        return asked
    return replace(
        asked,
        facets=[_checked(deadline, one) for one in asked.facets],
        words=[replace(one, condition=_checked(deadline, one.condition)) for one in asked.words],
        is_few=True,
    )


def _checked(deadline: Deadline, condition: Condition) -> Condition:
    return replace(condition, tokens=()) if _is_wide(deadline, condition) else condition


def _is_wide(deadline: Deadline, condition: Condition) -> bool:
    return not 0 < len(condition.tokens) <= hits.at_once(deadline)


def _is_there(deadline: Deadline, asked: Asked) -> bool:
    if len(asked.words) == 1:  # what it stands for is in the vocabulary: some mapping has it
        return True
    return bool(hits.ids(deadline, asked.conditions, Span(1))) or deadline.reached


def _forgiven(session: Session, vocabulary: Vocabulary, asked: Sequence[Word]) -> Asked:
    """Take words that nothing contains for the nearest; if there are none, each for either."""
    missing = any(not word.meant for word in asked)
    read, read_as = [], {}
    for word in asked:
        near = () if word.meant and missing else tuple(vocabulary.nearest(word.part, _NEAR))
        read.append(_either(session, word, near))
        if near:
            read_as[word.part] = near
    return Asked([], read, read_as)


def _either(session: Session, exact: Word, near: tuple[str, ...]) -> Word:
    tokens = (*exact.meant, *near)
    check = or_(*(_has(session, one) for one in near), exact.condition.check)
    if len(tokens) > MOST_TOKENS:
        tokens = ()
    elif not tokens:  # the word itself is in no mapping: nothing matches, the index says so at once
        tokens = (exact.part,)
    return Word(Condition(check, tokens, is_words=True), exact.part, exact.meant, near)


def _contains(session: Session, part: str) -> ColumnElement[bool]:
    within = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    return within(mappings.c.normalized, part) > 0


def _has(session: Session, word: str) -> ColumnElement[bool]:
    within = func.instr if session.get_bind().dialect.name == "sqlite" else func.strpos
    return within(" " + mappings.c.normalized + " ", f" {word} ") > 0
