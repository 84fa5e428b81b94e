"""What a mapping is found by, as tokens: its words, and one token for each of its facets.

A facet's token begins with a character that no normalised text holds, so that filters are posting
lists like words. On SQLite the documents are an FTS5 index that keeps no text and no positions;
this module keeps it true while mappings change. On PostgreSQL the tokens are an indexed expression,
true by itself, and only the distinct words are kept here.
"""

from datetime import date

from sqlalchemy import ARRAY, Text, literal_column, text
from sqlalchemy.orm import Session

MARK = "\ue000"
DAY_ONE = date(2000, 1, 1)
# As many rows to a block as PostgreSQL reads in a few ms: newest first goes block by block there.
BLOCK_BITS = 16
# Tables and indexes of the database that `metadata` does not describe.
UNMODELLED = frozenset(
    {"search", "search_data", "search_idx", "search_config", "ix_mappings_search"}
)

_SETTLED = (
    f"m.normalized || ' {MARK}o' || m.source || ' {MARK}b' || hex(m.submitter)"
    f" || ' {MARK}d' || CAST(julianday(date(m.created_at)) - 2451544.5 AS INTEGER)"
    f" || coalesce(' {MARK}u' || m.upload_id, '')"
)
_CHANGING = f"'{MARK}s' || m.status || ' {MARK}t' || coalesce(m.target_id, m.proposed_target_id, 0)"
DOCUMENT = f"{_SETTLED} || ' ' || {_CHANGING}"
# Written as in the index, or PostgreSQL would not use it.
POSTGRESQL_TOKENS = (
    "(string_to_array(normalized, ' ') || ARRAY["
    f"'{MARK}o' || source, '{MARK}b' || submitter, '{MARK}s' || status, "
    f"'{MARK}d' || ((created_at AT TIME ZONE 'UTC')::date - DATE '2000-01-01')::text, "
    f"'{MARK}u' || upload_id::text, "
    f"'{MARK}t' || coalesce(target_id, proposed_target_id, 0)::text, "
    f"'{MARK}k' || (id >> {BLOCK_BITS})::text])"
)
tokens = literal_column(POSTGRESQL_TOKENS, ARRAY(Text))

_NOTED = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS noted_documents (mapping_id BIGINT PRIMARY KEY,"
    " tokens TEXT NOT NULL)",
    "DELETE FROM noted_documents",
)
_NOTE = """
    INSERT INTO noted_documents (mapping_id, tokens)
    SELECT m.id, {changing} FROM touched_mappings t JOIN mappings m ON m.id = t.mapping_id"""
_FORGET_OLD = f"""
    INSERT INTO search (search, rowid, document)
    SELECT 'delete', m.id, n.tokens FROM noted_documents n JOIN mappings m ON m.id = n.mapping_id
    WHERE n.tokens <> {_CHANGING} ORDER BY m.id"""  # noqa: S608
_ADD_CHANGED = f"""
    INSERT INTO search (rowid, document)
    SELECT m.id, {_CHANGING} FROM noted_documents n JOIN mappings m ON m.id = n.mapping_id
    WHERE n.tokens <> {_CHANGING} ORDER BY m.id"""  # noqa: S608
_NEW = """
    FROM touched_mappings t JOIN mappings m ON m.id = t.mapping_id
    WHERE t.mapping_id NOT IN (SELECT mapping_id FROM noted_documents)"""
_ADD_NEW = f"INSERT INTO search (rowid, document) SELECT m.id, {DOCUMENT} {_NEW} ORDER BY m.id"
# No word holds a quote or a backslash: `domain.text.normalize` leaves letters, marks and digits.
SPLIT_SQLITE = """json_each('["' || replace({text}, ' ', '","') || '"]')"""
_NEW_WORDS = {
    "sqlite": f"""
        INSERT OR IGNORE INTO search_words (word)
        SELECT DISTINCT w.value FROM (SELECT m.normalized AS whole {_NEW}) AS found,
            {SPLIT_SQLITE.format(text="found.whole")} AS w ORDER BY w.value""",  # noqa: S608
    "postgresql": f"""
        INSERT INTO search_words (word)
        SELECT DISTINCT unnest(string_to_array(m.normalized, ' ')) {_NEW}
        ON CONFLICT DO NOTHING""",
}


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
    session.execute(text(_NEW_WORDS[session.get_bind().dialect.name]))


def enter_new(session: Session) -> None:
    """Bring `touched_mappings` into the index, all of them new."""
    for statement in _NOTED:
        session.execute(text(statement))
    enter(session)


def _is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"
