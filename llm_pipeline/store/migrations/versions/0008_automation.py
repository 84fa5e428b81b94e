"""Automatic approval: what policies and audits were missing, lots, stops; trainings wanted."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _extend_mappings()
    _extend_policies()
    _create_stops()
    _create_audits()
    _create_shadow_answers()
    _create_wanted_trainings()


def _partial_index(
    name: str, table: str, columns: list[str], where: str, *, unique: bool = False
) -> None:
    condition = sa.text(where)
    op.create_index(
        name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


def _extend_mappings() -> None:
    op.add_column("mappings", sa.Column("evidence", sa.Text()))
    op.add_column("mappings", sa.Column("suggested_offset", _ID))
    suggested = "suggested_offset IS NOT NULL AND status = 'pending'"
    columns = ["suggested_offset", "id"]
    _partial_index("ix_mappings_suggested_offset", "mappings", columns, suggested)
    made_by = "policy_id IS NOT NULL"
    _partial_index("ix_decisions_policy_id", "decisions", ["policy_id", "mapping_id"], made_by)
    columns = ["model_version", "mapping_id"]
    _partial_index("ix_decisions_model_version", "decisions", columns, made_by)
    op.create_index("ix_decisions_actor", "decisions", ["actor", "mapping_id"])


def _extend_policies() -> None:
    for column in (
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("share", sa.Float(), server_default="0.02", nullable=False),
        sa.Column("audits", _ID, server_default="0", nullable=False),
        sa.Column("looked_to", _ID, server_default="0", nullable=False),
    ):
        op.add_column("policies", column)
    # Nothing has written to it so far; stops have a table of their own.
    for name in ("stopped_at", "stop_reason"):
        op.drop_column("policies", name)


def _create_stops() -> None:
    op.create_table(
        "automation_stops",
        sa.Column("id", _ID, nullable=False),
        sa.Column("policy_id", _ID),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("offset", _ID, nullable=False),
        sa.Column("stopped_at", _TIME, nullable=False),
        sa.Column("resumed_at", _TIME),
        sa.Column("resumed_by", sa.Text()),
        sa.Column("resume_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("by_person", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["policy_id"], ["policies.id"], name=op.f("fk_automation_stops_policy_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automation_stops")),
    )
    _partial_index(
        "uq_automation_stops_open",
        "automation_stops",
        ["cause", "subject"],
        "resumed_at IS NULL",
        unique=True,
    )


def _create_audits() -> None:
    op.create_table(
        "audit_lots",
        sa.Column("id", _ID, nullable=False),
        sa.Column("upto_id", _ID, nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("drawn", _ID, nullable=False),
        sa.Column("drawn_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_lots")),
    )
    # Nothing has written to it so far.
    op.drop_table("audits")
    references = {
        "mapping_id": "mappings",
        "policy_id": "policies",
        "answer_target_id": "targets",
        "audited_target_id": "targets",
        "lot_id": "audit_lots",
    }
    op.create_table(
        "audits",
        sa.Column("id", _ID, nullable=False),
        sa.Column("mapping_id", _ID, nullable=False),
        sa.Column("policy_id", _ID),
        sa.Column("inclusion_probability", sa.Float(), nullable=False),
        sa.Column("lot", sa.Float(), nullable=False),
        sa.Column("answer_target_id", _ID),
        sa.Column("audited_target_id", _ID),
        sa.Column("auditor", sa.Text()),
        sa.Column("sampled_at", _TIME, nullable=False),
        sa.Column("answered_at", _TIME),
        sa.Column("lot_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("rows", _ID, nullable=False),
        sa.Column("stratum", sa.Text()),
        sa.Column("score", sa.Float()),
        sa.Column("model_version", sa.Text()),
        sa.Column("right", sa.Boolean()),
        sa.Column("answered_offset", _ID),
        sa.Column("due_at", _TIME, nullable=False),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=op.f(f"fk_audits_{name}"))
            for name, table in references.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audits")),
    )
    op.create_index("ix_audits_mapping_id", "audits", ["mapping_id"])
    _partial_index("ix_audits_open", "audits", ["due_at", "id"], "answered_at IS NULL")
    op.create_index("ix_audits_answered_offset", "audits", ["answered_offset"])


def _create_shadow_answers() -> None:
    op.create_table(
        "shadow_answers",
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("mapping_id", _ID, autoincrement=False, nullable=False),
        sa.Column("target_id", _ID),
        sa.Column("probability", sa.Float(), nullable=False),
        sa.Column("answered_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("model_version", "mapping_id", name=op.f("pk_shadow_answers")),
    )


def _create_wanted_trainings() -> None:
    op.create_table(
        "wanted_trainings",
        sa.Column("id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("offset", _ID, nullable=False),
        sa.Column("wanted_at", _TIME, nullable=False),
        sa.Column("asked_at", _TIME),
        sa.Column("started_at", _TIME),
        sa.Column("ended_at", _TIME),
        sa.Column("run_id", sa.Text()),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wanted_trainings")),
    )
    op.create_index(
        "uq_wanted_trainings_kind_version", "wanted_trainings", ["kind", "version"], unique=True
    )
    _partial_index("ix_wanted_trainings_open", "wanted_trainings", ["id"], "ended_at IS NULL")
