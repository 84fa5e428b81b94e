"""The vocabulary of a database, held in memory by each process and brought up to date by id."""

from collections.abc import Iterable
from threading import Lock
from weakref import WeakKeyDictionary

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from llm_pipeline.store.schema_derived import search_words
from llm_pipeline.store.vocabulary import Vocabulary

_AT_ONCE = 100_000
_OWN = "has added words"

# By connection pool: the engines of readers and writers of one database share theirs.
_held: WeakKeyDictionary[object, Vocabulary] = WeakKeyDictionary()
_lock = Lock()


def vocabulary(session: Session) -> Vocabulary:
    """Return every word that this transaction sees.

    What it added itself is not kept: if it rolls back, others get the same ids.
    """
    pool = session.get_bind().engine.pool
    known = _held.get(pool, Vocabulary())
    found = _read_on(session, known)
    if found is not known and _OWN not in session.info:
        with _lock:
            newest = _held.get(pool)
            if newest is None or newest.last_id < found.last_id:
                _held[pool] = found
    return found


def _read_on(session: Session, known: Vocabulary) -> Vocabulary:
    w = search_words.c
    rows = session.execute(select(w.id, w.words).where(w.id > known.last_id).order_by(w.id))
    read: list[str] = []
    last_id = known.last_id
    for last_id, words in rows:
        read += words.split("\n")
        if len(read) >= _AT_ONCE:
            known, read = known.with_words(read, last_id), []
    return known if last_id == known.last_id else known.with_words(read, last_id)


def add(session: Session, texts: Iterable[str]) -> None:
    """Add the words of normalised texts that are not in the vocabulary yet.

    Writers take turns, so that no other adds the same at the same time.
    """
    new = {word for text in texts for word in text.split(" ")}
    missing = vocabulary(session).missing(sorted(new)) if new else []
    if missing:
        session.execute(insert(search_words).values(words="\n".join(missing)))
        session.info[_OWN] = True
