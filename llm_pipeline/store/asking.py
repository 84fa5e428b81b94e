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
from llm_pipeline.store.vocabulary import Vocabulary

# Conditions that leave no more rows than these are followed by looking at the rows.
FEW = 2_000
# The same where a part stands for so many words that looking them all up takes still longer.
FEW_OF_BROAD = 10_000
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

    def as_it_stands(self) -> "Word":
        """Return the word as it was before rows were looked at instead."""
        tokens = self.meant if len(self.meant) <= MOST_TOKENS else ()
        return replace(self, condition=replace(self.condition, tokens=tokens))


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter as conditions.

    Attributes
    ----------
    read_as : which words were taken for which others
    is_few : some conditions leave so few rows that the others are checked on these
    is_unproven : whether any text has all of its words has not been looked at
    """

    facets: list[Condition]
    words: list[Word]
    read_as: dict[str, tuple[str, ...]] = field(default_factory=dict)
    is_few: bool = False
    is_unproven: bool = False

    @property
    def conditions(self) -> list[Condition]:
        return self.facets + [word.condition for word in self.words]


def ask(deadline: Deadline, wanted: Filter) -> Asked:
    """Return what a filter asks; words that nothing contains are taken for the nearest."""
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
    if all(word.meant for word in read):
        # A single word that is in the vocabulary is in some mapping.
        return _lean(deadline, Asked(found, read, is_unproven=len(read) > 1))
    return _lean(deadline, replace(_forgiven(session, vocabulary, read), facets=found))


def forgive(deadline: Deadline, asked: Asked, wanted: Filter, *, nowhere: bool = False) -> Asked:
    """Return the same, with typos forgiven if no text has all of its words as they stand.

    To look for that first would cost every search as much as its page: ask where nothing was found.
    `nowhere` says that nothing was although nothing but words was asked for.
    """
    read = [word.as_it_stands() for word in asked.words]
    if not asked.is_unproven or not (nowhere or _is_nowhere(deadline, read)):
        return asked
    session = deadline.session
    forgiven = _forgiven(session, words.vocabulary(session), read)
    return _lean(deadline, replace(forgiven, facets=facets(session, wanted)))


def _read(session: Session, vocabulary: Vocabulary, word: str) -> Word:
    meant = tuple(islice(vocabulary.containing(word), MOST_TOKENS + 1))
    tokens = meant if len(meant) <= MOST_TOKENS else ()
    return Word(Condition(_contains(session, word), tokens, is_words=True), word, meant)


def _lean(deadline: Deadline, asked: Asked) -> Asked:
    """Where some conditions leave few rows, check the words that stand for many on these."""
    narrow = [one for one in asked.conditions if not _is_wide(deadline, one)]
    if asked.is_few or not narrow or len(narrow) == len(asked.conditions):
        return asked
    few = FEW if all(one.tokens for one in asked.conditions) else FEW_OF_BROAD
    if hits.count(deadline, narrow, few + 1) > few:
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


def _is_nowhere(deadline: Deadline, read: list[Word]) -> bool:
    asked = _lean(deadline, Asked([], read))
    return not hits.count(deadline, asked.conditions, 1) and not deadline.reached


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
