"""The tables of automatic approval: policies, audits and the lots they were drawn by, stops; and
the trainings that something asked for.
"""

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Table, Text, text

from llm_pipeline.store.columns import Id, id_column, metadata, time_column

OPEN_AUDIT = "answered_at IS NULL"
OPEN_STOP = "resumed_at IS NULL"
OPEN_WISH = "ended_at IS NULL"

# Each version of the rule with all that it rests on; the newest is in force. Automatic approval
# has looked at every suggestion up to the offset `looked_to`.
policies = Table(
    "policies",
    metadata,
    id_column(),
    Column("max_error", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("rule", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("actor", Text, nullable=False),
    Column("offset", Id, nullable=False),
    time_column("created_at"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("share", Float, nullable=False, server_default="0.02"),
    Column("audits", Id, nullable=False, server_default="0"),
    Column("looked_to", Id, nullable=False, server_default="0"),
)

# Automatic approval is on unless one of these is open; each says what must pass before it goes on.
stops = Table(
    "automation_stops",
    metadata,
    id_column(),
    Column("policy_id", ForeignKey("policies.id")),
    Column("cause", Text, nullable=False),  # domain.automation.Cause
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("offset", Id, nullable=False),
    time_column("stopped_at"),
    time_column("resumed_at", nullable=True),
    Column("resumed_by", Text),
    Column("resume_reason", Text, nullable=False, server_default=""),
    Column("by_person", Boolean, nullable=False, server_default=text("false")),
    Index(
        "uq_automation_stops_open",
        "cause",
        "subject",
        unique=True,
        sqlite_where=text(OPEN_STOP),
        postgresql_where=text(OPEN_STOP),
    ),
)

# Every submission takes part in exactly one lot: those behind the lot before, up to `upto_id`.
# `held` of its repeats wait for a person; null until somebody looked.
audit_lots = Table(
    "audit_lots",
    metadata,
    id_column(),
    Column("upto_id", Id, nullable=False),
    Column("share", Float, nullable=False),
    Column("drawn", Id, nullable=False),
    time_column("drawn_at"),
    Column("held", Id),
)

# `rows` submissions of a mapping took part in a lot together, and one of them at least was drawn.
# `answer_target_id` is what the system says of them; nobody who audits sees it.
audits = Table(
    "audits",
    metadata,
    id_column(),
    Column("mapping_id", ForeignKey("mappings.id"), nullable=False),
    Column("policy_id", ForeignKey("policies.id")),
    Column("inclusion_probability", Float, nullable=False),
    Column("lot", Float, nullable=False),  # below that probability, see `domain.approval.Audited`
    Column("answer_target_id", ForeignKey("targets.id")),
    Column("audited_target_id", ForeignKey("targets.id")),
    Column("auditor", Text),
    time_column("sampled_at"),
    time_column("answered_at", nullable=True),
    Column("lot_id", ForeignKey("audit_lots.id"), nullable=False),
    Column("kind", Text, nullable=False),  # domain.automation.AuditKind
    Column("rows", Id, nullable=False),
    Column("stratum", Text),
    Column("score", Float),
    Column("model_version", Text),
    Column("right", Boolean),
    Column("answered_offset", Id),
    time_column("due_at"),
    Index("ix_audits_mapping_id", "mapping_id"),
    Index(
        "ix_audits_open",
        "due_at",
        "id",
        sqlite_where=text(OPEN_AUDIT),
        postgresql_where=text(OPEN_AUDIT),
    ),
    Index("ix_audits_answered_offset", "answered_offset"),
)

# What a challenger would have answered for waiting texts, beside the champion.
shadow_answers = Table(
    "shadow_answers",
    metadata,
    Column("model_version", Text, primary_key=True),
    Column("mapping_id", Id, primary_key=True, autoincrement=False),
    Column("target_id", Id),
    Column("probability", Float, nullable=False),
    time_column("answered_at"),
)

# One row per reason and version of the data: a trigger that fires twice asks once. A training
# takes up all that is open; one that fails leaves it for the next reason to ask again.
wanted_trainings = Table(
    "wanted_trainings",
    metadata,
    id_column(),
    Column("kind", Text, nullable=False),  # domain.triggers.Trigger
    Column("version", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("offset", Id, nullable=False),
    time_column("wanted_at"),
    time_column("asked_at", nullable=True),
    time_column("started_at", nullable=True),
    time_column("ended_at", nullable=True),
    Column("run_id", Text),
    Column("outcome", Text, nullable=False, server_default=""),
    Index("uq_wanted_trainings_kind_version", "kind", "version", unique=True),
    Index(
        "ix_wanted_trainings_open",
        "id",
        sqlite_where=text(OPEN_WISH),
        postgresql_where=text(OPEN_WISH),
    ),
)
