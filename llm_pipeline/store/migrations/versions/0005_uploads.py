"""Uploads that are merged in the order of their texts: how far one is, and one index less."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("complete_to", _ID, nullable=False, server_default="0"),
        sa.Column("run_end", _ID),
        sa.Column("merged_text", sa.Text()),
        sa.Column("merged_row", _ID),
        sa.Column("rows_seen", _ID, nullable=False, server_default="0"),
        sa.Column("rows_total", _ID),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("started_rows", _ID, nullable=False, server_default="0"),
    ):
        op.add_column("uploads", column)
    with op.batch_alter_table("submissions") as batch:
        batch.drop_constraint("uq_submissions_upload_id_row", type_="unique")
    op.execute("UPDATE uploads SET complete_to = rows_read, rows_seen = rows_read")
