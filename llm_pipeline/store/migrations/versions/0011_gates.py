"""The rows that a gate names, by their keys, and the figures that it looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column(
        "gate_results", sa.Column("figures", sa.JSON(), nullable=False, server_default="{}")
    )
    op.create_table(
        "gate_rows",
        sa.Column("id", _ID, nullable=False),
        sa.Column("result_id", _ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gate_rows")),
        sa.ForeignKeyConstraint(
            ["result_id"], ["gate_results.id"], name=op.f("fk_gate_rows_result_id")
        ),
    )
    op.create_index("ix_gate_rows_result_id", "gate_rows", ["result_id", "id"])
