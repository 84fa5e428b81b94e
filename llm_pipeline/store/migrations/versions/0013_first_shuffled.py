"""The random order of groups: an index of the first ones only."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_FIRST = sa.text("shuffle < 67108864")


def upgrade() -> None:
    op.drop_index("ix_review_groups_shuffle", "review_groups")
    op.create_index(
        "ix_review_groups_shuffle",
        "review_groups",
        ["shuffle", "key"],
        sqlite_where=_FIRST,
        postgresql_where=_FIRST,
    )
