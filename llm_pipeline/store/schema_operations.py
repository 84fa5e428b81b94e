"""The tables of learning, quality and operations: gates, models, reports, alerts, plans.

Leases, plans, metrics and webhooks are here from the first migration on, because decisions and
events refer to them; each is filled by the component that owns it. What automatic approval needs is
in `schema_automation`.
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

DUE_DELIVERY = "status = 'pending'"

gate_results = Table(
    "gate_results",
    metadata,
    id_column(),
    Column("suite", Text, nullable=False),
    Column("success", Boolean, nullable=False),
    Column("severity", Text, nullable=False),
    Column("rows", Id, nullable=False),
    Column("checks", Integer, nullable=False),
    Column("failures", JSON, nullable=False),
    Column("as_of", Id, nullable=False),
    Column("upload_id", ForeignKey("uploads.id")),
    time_column("checked_at"),
    Column("figures", JSON, nullable=False, server_default="{}"),
    Index("ix_gate_results_suite_id", "suite", "id"),
)

# The rows that a result names, by their keys; those of each suite's last results are kept.
gate_rows = Table(
    "gate_rows",
    metadata,
    id_column(),
    Column("result_id", ForeignKey("gate_results.id"), nullable=False),
    Column("kind", Text, nullable=False),  # domain.gate.FailingRow
    Column("key", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("value", Text, nullable=False),
    Index("ix_gate_rows_result_id", "result_id", "id"),
)

training_sets = Table(
    "training_sets",
    metadata,
    Column("as_of", Id, primary_key=True, autoincrement=False),
    Column("rows", Id, nullable=False),
    Column("texts", Id, nullable=False),
    Column("targets", Id, nullable=False),
    Column("digest", Text, nullable=False),
    time_column("built_at"),
)

models = Table(
    "models",
    metadata,
    Column("version", Text, primary_key=True),
    Column("run_id", Text, nullable=False),
    Column("as_of", Id, nullable=False),
    Column("status", Text, nullable=False),  # as `StoredModel` says
    Column("metrics", JSON, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    time_column("trained_at"),
    time_column("promoted_at", nullable=True),
    Index(
        "uq_models_champion",
        "status",
        unique=True,
        sqlite_where=text("status = 'champion'"),
        postgresql_where=text("status = 'champion'"),
    ),
)

reports = Table(
    "reports",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),  # quality, performance, insights
    Column("as_of", Id, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("content", JSON, nullable=False),
    time_column("written_at"),
    Index("ix_reports_kind_id", "kind", "id"),
)

alerts = Table(
    "alerts",
    metadata,
    id_column(),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    time_column("raised_at"),
    time_column("updated_at"),
    time_column("resolved_at", nullable=True),
    time_column("acknowledged_at", nullable=True),
    Column("acknowledged_by", Text),
    Index(
        "uq_alerts_open",
        "rule",
        "subject",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
)

credentials = Table(
    "credentials",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),  # token, link, session
    Column("digest", Text, nullable=False, unique=True),
    Column("user", Text, nullable=False),
    Column("role", Text, nullable=False),
    time_column("created_at"),
    time_column("expires_at", nullable=True),
    time_column("used_at", nullable=True),
    time_column("revoked_at", nullable=True),
)

leases = Table(
    "leases",
    metadata,
    Column("key", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("led_by", Text),  # the group that this one is near to and was offered with
    time_column("expires_at"),
)

# `progress` counts the items that the present run has gone through, up to the mapping `cursor`.
plans = Table(
    "plans",
    metadata,
    id_column(),
    Column("filter", JSON, nullable=False),
    Column("action", Text, nullable=False),
    Column("target_id", ForeignKey("targets.id")),
    Column("count", Id, nullable=False),
    Column("digest", Text, nullable=False),
    Column("status", Text, nullable=False),  # domain.plans.PlanStatus
    Column("progress", Id, nullable=False, server_default="0"),
    Column("actor", Text, nullable=False),
    time_column("created_at"),
    time_column("updated_at"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("preview", JSON),  # what the preview told beside the count
    Column("cursor", Id, nullable=False, server_default="0"),
    Column("decided", Id, nullable=False, server_default="0"),
    Column("changed_since", Id, nullable=False, server_default="0"),
    Column("undone", Id, nullable=False, server_default="0"),
    Column("kept", Id, nullable=False, server_default="0"),
    Column("applied_by", Text),
    Column("undone_by", Text),
    Column("error", Text, nullable=False, server_default=""),
    time_column("apply_began_at", nullable=True),
    time_column("apply_ended_at", nullable=True),
    time_column("undo_began_at", nullable=True),
    time_column("undo_ended_at", nullable=True),
)

# The mappings that a plan changes as its preview found them, and the live ones that give way.
# Without foreign keys: checking them took longer than writing the rows.
plan_items = Table(
    "plan_items",
    metadata,
    Column("plan_id", Id, primary_key=True, autoincrement=False),
    Column("mapping_id", Id, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("target_id", Id),
    Column("displaced_id", Id),
    Column("displaced_version", Integer),
    sqlite_with_rowid=False,
)

# Items that were left alone, in applying or in undoing, and why.
plan_leftovers = Table(
    "plan_leftovers",
    metadata,
    Column("plan_id", Id, primary_key=True, autoincrement=False),
    Column("undoing", Boolean, primary_key=True),
    Column("mapping_id", Id, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

metrics = Table(
    "metrics",
    metadata,
    id_column(),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Float, nullable=False),
    time_column("at"),
    Index("ix_metrics_source_name_at", "source", "name", "at"),
)

# Every event up to the offset `upto` has its delivery, if it is of those `events`.
webhooks = Table(
    "webhooks",
    metadata,
    id_column(),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("secret", Text, nullable=False),  # as it is: every message is signed with it
    time_column("created_at"),
    Column("actor", Text, nullable=False),
    Column("upto", Id, nullable=False),
    time_column("disabled_at", nullable=True),  # the receiver said that it is gone
)

# The outbox: what is to be sent, and what came of it. While it is being sent, `next_attempt_at` is
# when somebody else may try, should this process end.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    id_column(),
    Column("webhook_id", ForeignKey("webhooks.id"), nullable=False),
    Column("offset", Id, nullable=False),
    Column("message_id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False),  # pending, delivered, given_up
    Column("attempts", Integer, nullable=False, server_default="0"),
    time_column("next_attempt_at"),
    time_column("tried_at", nullable=True),
    time_column("delivered_at", nullable=True),
    Column("answer", Integer),
    Column("error", Text, nullable=False, server_default=""),
    UniqueConstraint("webhook_id", "offset"),
    Index(
        "ix_webhook_deliveries_due",
        "next_attempt_at",
        "id",
        sqlite_where=text(DUE_DELIVERY),
        postgresql_where=text(DUE_DELIVERY),
    ),
)

label_errors = Table(
    "label_errors",
    metadata,
    id_column(),  # in the order of the list
    Column("mapping_id", ForeignKey("mappings.id"), nullable=False, unique=True),
    Column("target_id", ForeignKey("targets.id"), nullable=False),
    Column("suggested_target_id", ForeignKey("targets.id"), nullable=False),
    Column("score", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("examples", JSON, nullable=False),
    Column("found_offset", Id, nullable=False),
    time_column("found_at"),
    time_column("dismissed_at", nullable=True),
    Column("dismissed_by", Text),
)
