"""The search index and the distinct words."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_M = "\ue000"
_TOKENS = (
    "(string_to_array(normalized, ' ') || ARRAY["
    f"'{_M}o' || source, '{_M}b' || submitter, '{_M}s' || status, "
    f"'{_M}d' || ((created_at AT TIME ZONE 'UTC')::date - DATE '2000-01-01')::text, "
    f"'{_M}u' || upload_id::text, "
    f"'{_M}t' || coalesce(target_id, proposed_target_id, 0)::text, "
    f"'{_M}k' || (id >> 16)::text])"
)
_DOCUMENT = (
    f"normalized || ' {_M}o' || source || ' {_M}b' || lower(hex(submitter))"
    f" || ' {_M}d' || CAST(julianday(date(created_at)) - 2451544.5 AS INTEGER)"
    f" || coalesce(' {_M}u' || upload_id, '')"
    f" || ' {_M}s' || status || ' {_M}t' || coalesce(target_id, proposed_target_id, 0)"
)


def upgrade() -> None:
    op.create_table(
        "search_words",
        sa.Column("id", _ID, nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_words")),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search USING fts5(document, content='', detail=none,"
            " columnsize=0, tokenize='ascii tokenchars _')"
        )
        op.execute(f"INSERT INTO search (rowid, document) SELECT id, {_DOCUMENT} FROM mappings")
        op.execute(
            "INSERT INTO search_words (words) SELECT group_concat(word, char(10)) FROM ("
            "SELECT DISTINCT w.value AS word FROM mappings m,"
            """ json_each('["' || replace(m.normalized, ' ', '","') || '"]') AS w)"""
            " HAVING count(*) > 0"
        )
    else:
        op.execute(f"CREATE INDEX ix_mappings_search ON mappings USING gin ({_TOKENS})")
        op.execute(
            "INSERT INTO search_words (words) SELECT string_agg(DISTINCT word, E'\\n') FROM ("
            "SELECT unnest(string_to_array(normalized, ' ')) AS word FROM mappings) AS found"
            " HAVING count(*) > 0"
        )
