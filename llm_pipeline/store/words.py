"""The vocabulary of a database, held in memory by each process and brought up to date by id."""

from threading import Lock
from weakref import WeakKeyDictionary

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from llm_pipeline.store.schema_derived import search_words
from llm_pipeline.store.vocabulary import Vocabulary

_AT_ONCE = 100_000

# By connection pool: the engines of readers and writers of one database share theirs.
_held: WeakKeyDictionary[object, Vocabulary] = WeakKeyDictionary()
_lock = Lock()


def vocabulary(session: Session) -> Vocabulary:
    """Return every word that this transaction sees.

    What a writer has not committed is not kept: if it rolls back, others get the same ids.
    """
    engine = session.get_bind().engine
    known = _held.get(engine.pool, Vocabulary())
    found = _read_on(session, known)
    if found is not known and not engine.get_execution_options().get("writes", False):
        with _lock:
            newest = _held.get(engine.pool)
            if newest is None or newest.last_id < found.last_id:
                _held[engine.pool] = found
    return found


def _read_on(session: Session, known: Vocabulary) -> Vocabulary:
    w = search_words.c
    last = session.scalar(select(func.max(w.id))) or 0
    while known.last_id < last:
        upto = min(known.last_id + _AT_ONCE, last)
        # One long string: ten times faster than a row a word.
        if session.get_bind().dialect.name == "sqlite":
            joined = func.group_concat(w.word, literal("\n"))
        else:
            joined = func.string_agg(w.word, literal("\n"))
        found = session.scalar(select(joined).where(w.id > known.last_id, w.id <= upto))
        known = known.with_words(found.split("\n") if found else [], upto)
    return known
