"""How large the search index is beside the table that it is of."""

from sqlalchemy import text

from center.loading import Run, prepared
from center.results import Goal
from center.stores import opened
from llm_pipeline.store.engine import Session

# On PostgreSQL the search index belongs to the table; on SQLite it is tables of its own.
SQLITE = """
    SELECT coalesce(sum(CASE WHEN name = 'search' OR name LIKE 'search!_%' ESCAPE '!'
                             THEN pgsize END), 0),
           sum(CASE WHEN name = 'mappings' THEN pgsize END),
           sum(CASE WHEN name = 'mappings' OR name LIKE '%!_mappings!_%' ESCAPE '!'
                    THEN pgsize END)
    FROM dbstat WHERE aggregate = TRUE"""
POSTGRESQL = """
    SELECT pg_relation_size('ix_mappings_search') + pg_total_relation_size('search_words'),
           pg_table_size('mappings'),
           pg_total_relation_size('mappings') - pg_relation_size('ix_mappings_search')"""


def index_size(run: Run) -> None:
    """The search index beside the rows of the table, and beside the table with its indexes."""
    with opened(prepared(run)) as database, database.read() as session:
        index, table, whole = (int(size) for size in _sizes(session))
    run.results.add(
        "search index beside the table",
        f"{index / 2**20:,.0f} MiB, {index / whole:.1%} of the table with its indexes",
        f"table {table / 2**20:,.0f} MiB",
        100 * index / table,
        Goal("at most", 15, " %"),
    )


def _sizes(session: Session) -> tuple[int, int, int]:
    sqlite = session.get_bind().dialect.name == "sqlite"
    index, table, whole = session.execute(text(SQLITE if sqlite else POSTGRESQL)).one()
    return index, table, whole
