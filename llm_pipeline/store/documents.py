"""What a mapping is found by, as tokens: its words, and one token for each of its facets.

A facet's token begins with a character that no normalised text holds, so that filters are posting
lists like words. On SQLite the documents are an FTS5 index that keeps no text and no positions;
this module keeps it true while mappings change. On PostgreSQL the tokens are an indexed expression,
true by itself.
"""

from datetime import date

from sqlalchemy import ARRAY, Text, literal_column, text
from sqlalchemy.orm import Session

from llm_pipeline.store import words

MARK = "\ue000"
DAY_ONE = date(2000, 1, 1)
# As many rows to a block as PostgreSQL reads in a few ms: newest first goes block by block there.
BLOCK_BITS = 16
# Tables and indexes of the database that `metadata` does not describe.
UNMODELLED = frozenset(
    {"search", "search_data", "search_idx", "search_config", "ix_mappings_search"}
)

_SETTLED = (
    f"m.normalized || ' {MARK}o' || m.source || ' {MARK}b' || lower(hex(m.submitter))"
    f" || ' {MARK}d' || CAST(julianday(date(m.created_at)) - 2451544.5 AS INTEGER)"
    f" || coalesce(' {MARK}u' || m.upload_id, '')"
)
_CHANGING = f"'{MARK}s' || m.status || ' {MARK}t' || coalesce(m.target_id, m.proposed_target_id, 0)"
DOCUMENT = f"{_SETTLED} || ' ' || {_CHANGING}"
# The index's expression, or PostgreSQL would not use it; a query may join mappings to themselves.
POSTGRESQL_TOKENS = (
    "(string_to_array(mappings.normalized, ' ') || ARRAY["
    f"'{MARK}o' || mappings.source, '{MARK}b' || mappings.submitter, '{MARK}s' || mappings.status, "
    f"'{MARK}d' || ((mappings.created_at AT TIME ZONE 'UTC')::date - DATE '2000-01-01')::text, "
    f"'{MARK}u' || mappings.upload_id::text, "
    f"'{MARK}t' || coalesce(mappings.target_id, mappings.proposed_target_id, 0)::text, "
    f"'{MARK}k' || (mappings.id >> {BLOCK_BITS})::text])"
)
tokens = literal_column(POSTGRESQL_TOKENS, ARRAY(Text))

_NOTED = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS noted_documents (mapping_id BIGINT PRIMARY KEY,"
    " tokens TEXT NOT NULL)",
    "DELETE FROM noted_documents",
)
# CROSS JOIN and the order keep SQLite from going through all mappings for a few.
_NOTE = """
    INSERT INTO noted_documents (mapping_id, tokens)
    SELECT t.mapping_id, {changing}
    FROM touched_mappings t CROSS JOIN mappings m WHERE m.id = t.mapping_id"""
_CHANGED = f"""
    FROM noted_documents n CROSS JOIN mappings m
    WHERE m.id = n.mapping_id AND n.tokens <> {_CHANGING} ORDER BY n.mapping_id"""
_FORGET_OLD = f"""
    INSERT INTO search (search, rowid, document)
    SELECT 'delete', n.mapping_id, n.tokens {_CHANGED}"""
_ADD_CHANGED = f"INSERT INTO search (rowid, document) SELECT n.mapping_id, {_CHANGING} {_CHANGED}"
_NEW = """
    FROM touched_mappings t CROSS JOIN mappings m WHERE m.id = t.mapping_id
    AND t.mapping_id NOT IN (SELECT mapping_id FROM noted_documents) ORDER BY t.mapping_id"""
_ADD_NEW = f"INSERT INTO search (rowid, document) SELECT t.mapping_id, {DOCUMENT} {_NEW}"
# All of them in one: row by row they took longer to fetch than to find.
_JOINED = {"sqlite": "group_concat", "postgresql": "string_agg"}
_NEW_TEXTS = f"SELECT {{joined}}(normalized, ' ') FROM (SELECT m.normalized {_NEW}) AS new_texts"  # noqa: S608


def facet(letter: str, value: object) -> str:
    """Return the token of a facet: o(rigin), b(y), s(tatus), d(ay), u(pload), t(arget), k (block).

    >>> facet("t", 7)[1:]
    't7'
    """
    return f"{MARK}{letter}{value}"


def note(session: Session) -> None:
    """Remember how `touched_mappings` stand in the index, before they change."""
    for statement in _NOTED:
        session.execute(text(statement))
    changing = _CHANGING if _is_sqlite(session) else "''"
    session.execute(text(_NOTE.format(changing=changing)))


def enter(session: Session) -> None:
    """Bring the index up to `touched_mappings`: those that were noted, and those that are new."""
    if _is_sqlite(session):
        for statement in (_FORGET_OLD, _ADD_CHANGED, _ADD_NEW):
            session.execute(text(statement))
    joined = _JOINED[session.get_bind().dialect.name]
    texts = session.scalar(text(_NEW_TEXTS.format(joined=joined)))
    words.add(session, [texts] if texts else [])


def enter_new(session: Session) -> None:
    """Bring `touched_mappings` into the index, all of them new."""
    for statement in _NOTED:
        session.execute(text(statement))
    enter(session)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
