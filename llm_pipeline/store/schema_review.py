"""The tables of the review queue: decisions about groups, what waits for a second reviewer, and
what a reviewer has skipped. Leases are in `schema_operations`, the groups in `schema_derived`.
"""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, Table, Text, text

from llm_pipeline.store.columns import Id, id_column, metadata, time_column

OPEN = "closed_at IS NULL"

# What a person said of one or several groups at once. Their mappings have a decision each.
group_decisions = Table(
    "group_decisions",
    metadata,
    id_column(),
    Column("action", Text, nullable=False),
    Column("target_id", ForeignKey("targets.id")),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("keys", JSON, nullable=False),
    Column("undoes", ForeignKey("group_decisions.id")),
    time_column("decided_at"),
)

# The decisions with one of these offsets are those of the group: each chunk has one of its own.
group_chunks = Table(
    "group_chunks",
    metadata,
    Column("group_id", ForeignKey("group_decisions.id"), primary_key=True),
    Column("offset", Id, primary_key=True, autoincrement=False),
)

# A group that two people must answer; `lot` tells it from a later group of the same key.
second_reviews = Table(
    "second_reviews",
    metadata,
    id_column(),
    Column("key", Text, nullable=False),
    Column("lot", Integer, nullable=False),
    Column("first_id", ForeignKey("group_decisions.id"), nullable=False),
    Column("second_id", ForeignKey("group_decisions.id")),
    Column("agreed", Boolean),
    time_column("closed_at", nullable=True),
    Index(
        "uq_second_reviews_open",
        "key",
        unique=True,
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
)

review_skips = Table(
    "review_skips",
    metadata,
    Column("holder", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    time_column("expires_at"),
)
