"""The search index made anew, and compared with the rows that it is of.

It is kept true by `documents` in the same transactions as the rows, so that neither is needed
unless something else wrote to the database.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from llm_pipeline.store import words
from llm_pipeline.store.documents import DOCUMENT, MARK, POSTGRESQL_TOKENS
from llm_pipeline.store.engine import Database

SLICE = 5_000
_STREAMED = {"yield_per": SLICE}

_REFILL = f"""
    INSERT INTO search (rowid, document) SELECT m.id, {DOCUMENT} FROM mappings m
    WHERE m.id > :after AND m.id <= :upto ORDER BY m.id"""  # noqa: S608
_TEXTS = "SELECT normalized FROM mappings WHERE id > :after AND id <= :upto"
_TERMS = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.search_terms USING fts5vocab(main, search, instance)"
)
_INDEXED = "SELECT term, count(*), sum(doc) FROM temp.search_terms GROUP BY term"
_ROWS = f"SELECT m.id, {DOCUMENT} FROM mappings m"  # noqa: S608
_BY_STATUS = f"""
    SELECT status, count(*) FROM mappings
    WHERE {POSTGRESQL_TOKENS} && ARRAY['{MARK}s' || CAST(:status AS TEXT)] GROUP BY status"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Checked:
    """How the index compares with the rows: tokens that differ, words the vocabulary lacks."""

    mappings: int
    differing: list[str]
    lost_words: list[str]

    @property
    def is_true(self) -> bool:
        return not self.differing and not self.lost_words


def last_id(session: Session) -> int:
    """Return the highest id of a mapping, 0 if there is none."""
    return session.scalar(text("SELECT max(id) FROM mappings")) or 0


def rebuild(database: Database, tell: Callable[[int], object] = lambda _done: None) -> None:
    """Make the index anew, slice by slice, so that no writer waits for long; searches that are
    made meanwhile find less."""
    with database.begin() as session:
        sqlite = session.get_bind().dialect.name == "sqlite"
        last = last_id(session)
        if sqlite:
            session.execute(text("INSERT INTO search (search) VALUES ('delete-all')"))
        else:
            session.execute(text("REINDEX INDEX ix_mappings_search"))
    for after in range(0, last, SLICE):
        with database.begin() as session:
            place = {"after": after, "upto": min(after + SLICE, last)}
            if sqlite:
                session.execute(text(_REFILL), place)
            words.add(session, session.scalars(text(_TEXTS), place))
        tell(place["upto"])


def check(session: Session) -> Checked:
    """Compare the index with a recount of all rows: 1M mappings take about 10 s on SQLite."""
    number = int(session.scalar(text("SELECT count(*) FROM mappings")) or 0)
    if session.get_bind().dialect.name == "sqlite":
        return Checked(number, *_check_sqlite(session))
    return Checked(number, _check_postgresql(session), _lost(session))


def _check_sqlite(session: Session) -> tuple[list[str], list[str]]:
    session.execute(text(_TERMS))
    indexed = {term: (n, total) for term, n, total in session.execute(text(_INDEXED))}
    counted = _recount(session)
    differing = [
        term for term in indexed.keys() | counted if indexed.get(term) != counted.get(term)
    ]
    return sorted(differing), _lost(session)


def _lost(session: Session) -> list[str]:
    found: set[str] = set()
    known = words.known(session)
    texts = session.scalars(text("SELECT normalized FROM mappings"), execution_options=_STREAMED)
    for some in texts.partitions(SLICE):
        found.update(known.missing([word for one in some for word in one.split(" ")]))
    return sorted(found)


def _recount(session: Session) -> dict[str, tuple[int, int]]:
    """How many mappings hold each token, and the sum of their ids."""
    numbers: defaultdict[str, int] = defaultdict(int)
    totals: defaultdict[str, int] = defaultdict(int)
    for mapping_id, document in session.execute(text(_ROWS), execution_options=_STREAMED):
        for token in set(document.split(" ")):
            numbers[token] += 1
            totals[token] += mapping_id
    return {token: (number, totals[token]) for token, number in numbers.items()}


def _check_postgresql(session: Session) -> list[str]:
    """The index is an expression's, true by itself: whether it is whole is seen by counting."""
    every = session.execute(text("SELECT status, count(*) FROM mappings GROUP BY status"))
    rows = {row[0]: row[1] for row in every}
    found: dict[str, int] = {}
    savepoint = session.begin_nested()
    session.execute(text("SELECT set_config('enable_seqscan', 'off', true)"))
    for status in rows:
        counted = session.execute(text(_BY_STATUS), {"status": status})
        found |= {row[0]: row[1] for row in counted}
    savepoint.rollback()
    return [status for status in rows if found.get(status) != rows[status]]
