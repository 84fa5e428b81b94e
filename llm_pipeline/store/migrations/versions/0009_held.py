"""Repeats of approved texts are scored and held: which lots were looked at, which audits count."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("audit_lots", sa.Column("held", _ID))
    op.execute("UPDATE audit_lots SET held = 0")
    # They were certain by decree; what memory said of them then is not known any more.
    op.execute("UPDATE audits SET score = NULL WHERE kind = 'repeat' AND stratum = 'exact'")
