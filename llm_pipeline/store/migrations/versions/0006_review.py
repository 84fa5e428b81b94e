"""The review queue: decisions about groups, second reviewers, skips, conflicts by index."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("closed_at IS NULL")
_CONFLICTING = sa.text("conflicts > 0")
_IN_CONFLICT = sa.text("conflict AND status = 'pending'")


def upgrade() -> None:
    _create_decisions()
    _create_second_reviews()
    op.create_table(
        "review_skips",
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("holder", "key", name=op.f("pk_review_skips")),
    )
    op.add_column("leases", sa.Column("led_by", sa.Text()))
    op.add_column("review_groups", sa.Column("versions", _ID, nullable=False, server_default="0"))
    op.execute(
        """UPDATE review_groups SET versions = (
            SELECT sum(m.version) FROM mappings m
            WHERE m.key = review_groups.key AND m.status = 'pending')"""
    )
    for name, table, columns, where in (
        ("ix_review_groups_conflicts", "review_groups", ["value", "key"], _CONFLICTING),
        ("ix_mappings_in_conflict", "mappings", ["id"], _IN_CONFLICT),
    ):
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def _create_decisions() -> None:
    op.create_table(
        "group_decisions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target_id", _ID),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("keys", sa.JSON(), nullable=False),
        sa.Column("undoes", _ID),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["target_id"], ["targets.id"], name=op.f("fk_group_decisions_target_id")
        ),
        sa.ForeignKeyConstraint(
            ["undoes"], ["group_decisions.id"], name=op.f("fk_group_decisions_undoes")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_decisions")),
    )
    op.create_table(
        "group_chunks",
        sa.Column("group_id", _ID, nullable=False),
        sa.Column("offset", _ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["group_decisions.id"], name=op.f("fk_group_chunks_group_id")
        ),
        sa.PrimaryKeyConstraint("group_id", "offset", name=op.f("pk_group_chunks")),
    )


def _create_second_reviews() -> None:
    op.create_table(
        "second_reviews",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("lot", sa.Integer(), nullable=False),
        sa.Column("first_id", _ID, nullable=False),
        sa.Column("second_id", _ID),
        sa.Column("agreed", sa.Boolean()),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.ForeignKeyConstraint(
            ["first_id"], ["group_decisions.id"], name=op.f("fk_second_reviews_first_id")
        ),
        sa.ForeignKeyConstraint(
            ["second_id"], ["group_decisions.id"], name=op.f("fk_second_reviews_second_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_second_reviews")),
    )
    op.create_index(
        "uq_second_reviews_open",
        "second_reviews",
        ["key"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
