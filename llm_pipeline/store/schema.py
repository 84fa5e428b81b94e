"""The tables of the LLM Center: how things stand. What happened is in `events`; both change in one
transaction. The tables of learning and operations are in `schema_operations.py`.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from llm_pipeline.store.columns import Id, id_column, metadata, time_column

# Written out in every query that looks a text up: with bound values no database can tell that a
# partial index serves it.
LIVE_STATUSES = "status IN ('approved', 'auto_approved')"
PENDING_STATUS = "status = 'pending'"
ENDED_STATUSES = "status IN ('rejected', 'retired')"
IN_CONFLICT = "conflict AND status = 'pending'"
SUGGESTED = "suggested_offset IS NOT NULL AND status = 'pending'"

events = Table(
    "events",
    metadata,
    Column("offset", Id, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    time_column("at"),
    Column("actor", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Index("ix_events_name_offset", "name", "offset"),
)

targets = Table(
    "targets",
    metadata,
    id_column(),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("category", Text, nullable=False, server_default=""),
    Column("attributes", JSON, nullable=False),
    time_column("retired_at", nullable=True),
    Column("merged_into", ForeignKey("targets.id")),
    Column("changed_offset", Id, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    id_column(),
    Column("filename", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("bytes", Id, nullable=False),
    Column("lands_as", Text, nullable=False),  # pending, or approved for trusted labels
    Column("columns", JSON, nullable=False),  # which column of the file holds what
    Column("encoding", Text, nullable=False),
    Column("status", Text, nullable=False),  # running, finished, failed, cancelled
    Column("actor", Text, nullable=False),
    Column("rows_read", Id, nullable=False, server_default="0"),
    Column("accepted", Id, nullable=False, server_default="0"),
    Column("rejected", Id, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
    time_column("created_at"),
    time_column("updated_at"),
    # Every row up to `complete_to` is accounted for; of those behind it up to `run_end`, the ones
    # set aside and those up to a text and a row of it: they are merged in the order of the text.
    Column("complete_to", Id, nullable=False, server_default="0"),
    Column("run_end", Id),
    Column("merged_text", Text),
    Column("merged_row", Id),
    Column("rows_seen", Id, nullable=False, server_default="0"),
    Column("rows_total", Id),
    time_column("started_at", nullable=True),
    Column("started_rows", Id, nullable=False, server_default="0"),
    UniqueConstraint("sha256", "lands_as"),
)

rejected_rows = Table(
    "rejected_rows",
    metadata,
    Column("upload_id", ForeignKey("uploads.id"), primary_key=True),
    Column("row", Id, primary_key=True),
    Column("line", Id, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content", Text, nullable=False),
)

mappings = Table(
    "mappings",
    metadata,
    id_column(),
    Column("text", Text, nullable=False),
    Column("normalized", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("target_id", ForeignKey("targets.id")),
    Column("proposed_target_id", ForeignKey("targets.id")),
    Column("conflict", Boolean, nullable=False, server_default=text("false")),
    Column("rows", Id, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("note", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False),
    Column("submitter", Text, nullable=False),
    Column("upload_id", ForeignKey("uploads.id")),
    Column("suggested_target_id", ForeignKey("targets.id")),
    Column("probability", Float),
    Column("model_version", Text),
    Column("evidence", Text),  # what spoke for the suggestion
    Column("suggested_offset", Id),
    Column("live_from", Id),
    Column("received_offset", Id, nullable=False),
    time_column("created_at"),
    time_column("updated_at"),
    Index(
        "uq_mappings_live_normalized",
        "normalized",
        unique=True,
        sqlite_where=text(LIVE_STATUSES),
        postgresql_where=text(LIVE_STATUSES),
    ),
    Index(
        "uq_mappings_pending_normalized",
        "normalized",
        unique=True,
        sqlite_where=text(PENDING_STATUS),
        postgresql_where=text(PENDING_STATUS),
    ),
    # With the two above, every mapping is in exactly one index of its text.
    Index(
        "ix_mappings_ended_normalized",
        "normalized",
        sqlite_where=text(ENDED_STATUSES),
        postgresql_where=text(ENDED_STATUSES),
    ),
    Index("ix_mappings_status_id", "status", "id"),
    Index(
        "ix_mappings_pending_key",
        "key",
        "id",
        sqlite_where=text(PENDING_STATUS),
        postgresql_where=text(PENDING_STATUS),
    ),
    Index(
        "ix_mappings_in_conflict",
        "id",
        sqlite_where=text(IN_CONFLICT),
        postgresql_where=text(IN_CONFLICT),
    ),
    # Suggestions that automatic approval has not looked at are found by their offset.
    Index(
        "ix_mappings_suggested_offset",
        "suggested_offset",
        "id",
        sqlite_where=text(SUGGESTED),
        postgresql_where=text(SUGGESTED),
    ),
    Index(
        "ix_mappings_live_from",
        "live_from",
        sqlite_where=text("live_from IS NOT NULL"),
        postgresql_where=text("live_from IS NOT NULL"),
    ),
)

live_spans = Table(
    "live_spans",
    metadata,
    id_column(),
    Column("mapping_id", ForeignKey("mappings.id"), nullable=False),
    Column("target_id", ForeignKey("targets.id")),
    Column("live_from", Id, nullable=False),
    Column("live_to", Id, nullable=False),
    Column("ended_by", Text, nullable=False),  # superseded, corrected, rejected, reopened, undone
    Index("ix_live_spans_mapping_id", "mapping_id"),
    Index("ix_live_spans_live_to", "live_to"),
)

submissions = Table(
    "submissions",
    metadata,
    id_column(),
    Column("mapping_id", ForeignKey("mappings.id"), nullable=False),
    Column("upload_id", ForeignKey("uploads.id")),
    Column("row", Id),
    Column("line", Id),
    Column("text", Text, nullable=False),
    Column("target_id", ForeignKey("targets.id")),
    Column("note", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False),
    Column("submitter", Text, nullable=False),
    time_column("occurred_at", nullable=True),
    Column("amount", Float),
    Column("extra", JSON),
    Column("received_offset", Id, nullable=False),
    time_column("received_at"),
    # No index of upload and row: rows are merged in the order of their texts, and to insert them
    # there out of order was half of what a slice wrote.
    Index("ix_submissions_mapping_id", "mapping_id"),
    Index("ix_submissions_received_offset", "received_offset"),
)

decisions = Table(
    "decisions",
    metadata,
    id_column(),
    Column("mapping_id", ForeignKey("mappings.id"), nullable=False),
    Column("action", Text, nullable=False),
    Column("target_id", ForeignKey("targets.id")),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("previous_status", Text, nullable=False),
    Column("previous_target_id", ForeignKey("targets.id")),
    Column("previous_conflict", Boolean),
    Column("displaced_mapping_id", ForeignKey("mappings.id")),
    Column("displaced_status", Text),
    Column("undoes", ForeignKey("decisions.id"), unique=True),
    Column("suggested_target_id", ForeignKey("targets.id")),
    Column("probability", Float),
    Column("model_version", Text),
    Column("policy_id", ForeignKey("policies.id")),
    Column("plan_id", ForeignKey("plans.id")),
    Column("offset", Id, nullable=False),
    time_column("decided_at"),
    Index("ix_decisions_mapping_id", "mapping_id"),
    Index(
        "ix_decisions_plan_id_mapping_id",
        "plan_id",
        "mapping_id",
        sqlite_where=text("plan_id IS NOT NULL"),
        postgresql_where=text("plan_id IS NOT NULL"),
    ),
    Index(
        "ix_decisions_policy_id",
        "policy_id",
        "mapping_id",
        sqlite_where=text("policy_id IS NOT NULL"),
        postgresql_where=text("policy_id IS NOT NULL"),
    ),
    Index(
        "ix_decisions_model_version",
        "model_version",
        "mapping_id",
        sqlite_where=text("policy_id IS NOT NULL"),
        postgresql_where=text("policy_id IS NOT NULL"),
    ),
    Index("ix_decisions_actor", "actor", "mapping_id"),
    Index("ix_decisions_offset", "offset"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("mapping_id", ForeignKey("mappings.id"), nullable=False),
    time_column("created_at"),
)
