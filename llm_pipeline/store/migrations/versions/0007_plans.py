"""Plans: what a preview found, how far a run came, what was left alone; decisions that remember
all that an undo restores."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OF_A_PLAN = sa.text("plan_id IS NOT NULL")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("decisions", sa.Column("previous_conflict", sa.Boolean()))
    op.add_column("decisions", sa.Column("displaced_status", sa.Text()))
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("preview", sa.JSON()),
        *(
            sa.Column(name, _ID, nullable=False, server_default="0")
            for name in ("cursor", "decided", "changed_since", "undone", "kept")
        ),
        sa.Column("applied_by", sa.Text()),
        sa.Column("undone_by", sa.Text()),
        sa.Column("error", sa.Text(), nullable=False, server_default=""),
        *(
            sa.Column(name, sa.DateTime(timezone=True))
            for name in ("apply_began_at", "apply_ended_at", "undo_began_at", "undo_ended_at")
        ),
    )
    for column in columns:
        op.add_column("plans", column)
    op.drop_index("ix_decisions_plan_id", "decisions")
    op.create_index(
        "ix_decisions_plan_id_mapping_id",
        "decisions",
        ["plan_id", "mapping_id"],
        sqlite_where=_OF_A_PLAN,
        postgresql_where=_OF_A_PLAN,
    )
    # Nothing has written to it so far.
    op.drop_table("plan_items")
    op.create_table(
        "plan_items",
        sa.Column("plan_id", _ID, autoincrement=False, nullable=False),
        sa.Column("mapping_id", _ID, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("target_id", _ID),
        sa.Column("displaced_id", _ID),
        sa.Column("displaced_version", sa.Integer()),
        sa.PrimaryKeyConstraint("plan_id", "mapping_id", name=op.f("pk_plan_items")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "plan_leftovers",
        sa.Column("plan_id", _ID, autoincrement=False, nullable=False),
        sa.Column("undoing", sa.Boolean(), nullable=False),
        sa.Column("mapping_id", _ID, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "undoing", "mapping_id", name=op.f("pk_plan_leftovers")),
        sqlite_with_rowid=False,
    )
