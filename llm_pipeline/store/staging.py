"""The temporary table through which chunks of uploads pass; it lives as long as a connection."""

from functools import lru_cache

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    MetaData,
    Table,
    Text,
    bindparam,
    text,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import TextClause

from llm_pipeline.store.columns import Id, UTCDateTime
from llm_pipeline.store.temporary import emptied

staged_rows = Table(
    "staged_rows",
    MetaData(),
    Column("row", Id),
    Column("line", Id),
    Column("text", Text),
    Column("normalized", Text),
    Column("key", Text),
    Column("target_id", Id),
    Column("note", Text),
    Column("source", Text),
    Column("occurred_at", UTCDateTime),
    Column("amount", Float),
    Column("extra", JSON(none_as_null=True)),
    Column("mapping_id", Id),
    Column("is_last", Boolean),
)

# `row` is no primary key, or SQLite would make it the rowid and PostgreSQL would not.
_COLUMNS = """
    row BIGINT, line BIGINT, text TEXT, normalized TEXT, key TEXT, target_id BIGINT, note TEXT,
    source TEXT, occurred_at TIMESTAMP WITH TIME ZONE, amount DOUBLE PRECISION, extra JSON,
    mapping_id BIGINT, is_last BOOLEAN DEFAULT false"""
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS staged_normalized ON staged_rows (normalized)",
    "CREATE INDEX IF NOT EXISTS staged_mapping ON staged_rows (mapping_id)",
)


def prepare(session: Session) -> None:
    """Make the table, or empty it."""
    emptied(session, {staged_rows.name: _COLUMNS})
    for statement in _INDEXES:
        session.execute(text(statement))


@lru_cache(maxsize=256)
def with_times(statement: str) -> TextClause:
    """Prepare a statement whose `:at` is a time, stored the same way as every other time."""
    clause = text(statement)
    return clause.bindparams(bindparam("at", type_=UTCDateTime)) if ":at" in statement else clause
