"""Tables that repeat what the others say, so that no page has to count: `touched` keeps those of
mappings true, `activity` adds to those of acts. A test proves each equal to a recount.
"""

from sqlalchemy import Column, Float, Index, Integer, Table, Text, text

from llm_pipeline.store.columns import Id, UTCDateTime, id_column, metadata

CONFLICTING = "conflicts > 0"
# One in 32: an index in random order is written all over by each slice of an upload.
FIRST_SHUFFLED = f"shuffle < {2**31 // 32}"

# Mappings and their submissions by status and by the day (UTC) on which the mapping came.
status_counts = Table(
    "status_counts",
    metadata,
    Column("status", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("mappings", Id, nullable=False),
    Column("rows", Id, nullable=False),
)

# The same by target: the one a mapping has, else the one proposed, else 0.
target_counts = Table(
    "target_counts",
    metadata,
    Column("target_id", Id, primary_key=True, autoincrement=False),
    Column("status", Text, primary_key=True),
    Column("mappings", Id, nullable=False),
    Column("rows", Id, nullable=False),
    Index("ix_target_counts_status_mappings", "status", "mappings"),
)

# Waiting mappings of one key: what a reviewer settles at once. `value` is the expected number of
# submissions whose suggestion is wrong, `uncertainty` the same as a share of them; `versions` is
# the sum of the mappings' versions, which tells whether what a reviewer saw still stands.
review_groups = Table(
    "review_groups",
    metadata,
    Column("key", Text, primary_key=True),
    Column("mappings", Id, nullable=False),
    Column("rows", Id, nullable=False),
    Column("value", Float, nullable=False),
    Column("uncertainty", Float, nullable=False),
    Column("conflicts", Id, nullable=False),
    Column("oldest_id", Id, nullable=False),
    Column("shuffle", Integer, nullable=False),
    Column("versions", Id, nullable=False, server_default="0"),
    Index("ix_review_groups_value", "value", "key"),
    Index("ix_review_groups_uncertainty", "uncertainty", "key"),
    Index("ix_review_groups_oldest_id", "oldest_id"),
    Index(
        "ix_review_groups_shuffle",
        "shuffle",
        "key",
        sqlite_where=text(FIRST_SHUFFLED),
        postgresql_where=text(FIRST_SHUFFLED),
    ),
    Index(
        "ix_review_groups_conflicts",
        "value",
        "key",
        sqlite_where=text(CONFLICTING),
        postgresql_where=text(CONFLICTING),
    ),
)

# What was done in an hour, by whom: kinds are in `activity`.
activity_counts = Table(
    "activity_counts",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("hour", UTCDateTime, primary_key=True),
    Column("who", Text, primary_key=True),
    Column("number", Id, nullable=False),
)

# Every word that a mapping ever had, only ever added to: what searches expand parts of words to.
# A row holds the new words of one change with line breaks between, half the size of a row a word.
search_words = Table("search_words", metadata, id_column(), Column("words", Text, nullable=False))
