"""The words of a database, held in memory by each process and brought up to date by id: all that
searches ask of them, and for writers only which there are.
"""

from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Generic, Protocol, Self, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from llm_pipeline.store.schema_derived import search_words
from llm_pipeline.store.vocabulary import Known, Vocabulary

_AT_ONCE = 100_000
_OWN = "has added words"


class _Words(Protocol):
    """What is known of all words up to `last_id`."""

    @property
    def last_id(self) -> int: ...

    def with_words(self, words: Sequence[str], last_id: int) -> Self: ...


_W = TypeVar("_W", bound=_Words)


class _Held(Generic[_W]):
    """One kind of knowledge by connection pool: engines of readers and writers share theirs."""

    def __init__(self, nothing: _W) -> None:
        self._nothing = nothing
        self._held: WeakKeyDictionary[object, _W] = WeakKeyDictionary()
        self._lock = Lock()

    def of(self, session: Session) -> _W:
        """Return what this transaction sees.

        What it added itself is not kept: if it rolls back, others get the same ids.
        """
        pool = session.get_bind().engine.pool
        known = self._held.get(pool, self._nothing)
        found = _read_on(session, known)
        if found is not known and _OWN not in session.info:
            with self._lock:
                newest = self._held.get(pool)
                if newest is None or newest.last_id < found.last_id:
                    self._held[pool] = found
        return found


_vocabularies = _Held(Vocabulary())
_known = _Held(Known())


def vocabulary(session: Session) -> Vocabulary:
    """Return every word that this transaction sees, to be searched."""
    return _vocabularies.of(session)


def known(session: Session) -> Known:
    """Return which words this transaction sees."""
    return _known.of(session)


def _read_on(session: Session, before: _W) -> _W:
    w = search_words.c
    rows = session.execute(select(w.id, w.words).where(w.id > before.last_id).order_by(w.id))
    read: list[str] = []
    last_id = before.last_id
    for last_id, words in rows:
        read += words.split("\n")
        if len(read) >= _AT_ONCE:
            before, read = before.with_words(read, last_id), []
    return before if last_id == before.last_id else before.with_words(read, last_id)


def add(session: Session, texts: Iterable[str]) -> None:
    """Add the words of normalised texts that are not there yet.

    Writers take turns, so that no other adds the same at the same time.
    """
    new = set(" ".join(texts).split(" ")) - {""}
    missing = known(session).missing(sorted(new)) if new else []
    if missing:
        session.execute(insert(search_words).values(words="\n".join(missing)))
        session.info[_OWN] = True
