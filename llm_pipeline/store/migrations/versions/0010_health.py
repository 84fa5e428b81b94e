"""Health: how components stand and stood, and the limits of posted numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "component_states",
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("since", _TIME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("component", name=op.f("pk_component_states")),
    )
    op.create_table(
        "component_changes",
        sa.Column("id", _ID, nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component_changes")),
    )
    op.create_index("ix_component_changes_component_id", "component_changes", ["component", "id"])
    op.create_table(
        "system_metrics",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("at", _TIME),
        sa.Column("low", sa.Float()),
        sa.Column("high", sa.Float()),
        sa.Column("severity", sa.Text()),
        sa.PrimaryKeyConstraint("source", "name", name=op.f("pk_system_metrics")),
    )
