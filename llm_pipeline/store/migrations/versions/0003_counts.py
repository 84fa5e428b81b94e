"""Tables that repeat what others say, leaner indexes of mappings, plans, merged targets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ENDED = sa.text("status IN ('rejected', 'retired')")
_PENDING = sa.text("status = 'pending'")
_IS_LIVE = sa.text("live_from IS NOT NULL")
_OF_A_PLAN = sa.text("plan_id IS NOT NULL")


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    _create_tables()
    _change_indexes()
    kind = "INTEGER" if sqlite else "BIGINT"
    op.execute(
        f"ALTER TABLE decisions ADD COLUMN plan_id {kind} "
        "CONSTRAINT fk_decisions_plan_id REFERENCES plans (id)"
    )
    op.execute(
        f"ALTER TABLE targets ADD COLUMN merged_into {kind} "
        "CONSTRAINT fk_targets_merged_into REFERENCES targets (id)"
    )
    op.create_index(
        "ix_decisions_plan_id",
        "decisions",
        ["plan_id"],
        sqlite_where=_OF_A_PLAN,
        postgresql_where=_OF_A_PLAN,
    )
    _fill(sqlite)


def _create_tables() -> None:
    op.create_table(
        "status_counts",
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("mappings", _ID, nullable=False),
        sa.Column("rows", _ID, nullable=False),
        sa.PrimaryKeyConstraint("status", "day", name=op.f("pk_status_counts")),
    )
    op.create_table(
        "target_counts",
        sa.Column("target_id", _ID, autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("mappings", _ID, nullable=False),
        sa.Column("rows", _ID, nullable=False),
        sa.PrimaryKeyConstraint("target_id", "status", name=op.f("pk_target_counts")),
    )
    op.create_index("ix_target_counts_status_mappings", "target_counts", ["status", "mappings"])
    op.create_table(
        "review_groups",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("mappings", _ID, nullable=False),
        sa.Column("rows", _ID, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("uncertainty", sa.Float(), nullable=False),
        sa.Column("conflicts", _ID, nullable=False),
        sa.Column("oldest_id", _ID, nullable=False),
        sa.Column("shuffle", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_review_groups")),
    )
    op.create_index("ix_review_groups_value", "review_groups", ["value", "key"])
    op.create_index("ix_review_groups_uncertainty", "review_groups", ["uncertainty", "key"])
    op.create_index("ix_review_groups_oldest_id", "review_groups", ["oldest_id"])
    op.create_index("ix_review_groups_shuffle", "review_groups", ["shuffle", "key"])
    op.create_table(
        "activity_counts",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("number", _ID, nullable=False),
        sa.PrimaryKeyConstraint("kind", "hour", "who", name=op.f("pk_activity_counts")),
    )


def _change_indexes() -> None:
    for name in ("ix_mappings_normalized", "ix_mappings_key", "ix_mappings_live_from"):
        op.drop_index(name, "mappings")
    for name, columns, where in (
        ("ix_mappings_ended_normalized", ["normalized"], _ENDED),
        ("ix_mappings_pending_key", ["key", "id"], _PENDING),
        ("ix_mappings_live_from", ["live_from"], _IS_LIVE),
    ):
        op.create_index(name, "mappings", columns, sqlite_where=where, postgresql_where=where)


def _fill(sqlite: bool) -> None:
    day = "CAST(date(created_at) AS TEXT)"
    hour = "strftime('%Y-%m-%d %H:00:00.000000', {})" if sqlite else "date_trunc('hour', {})"
    largest = "max" if sqlite else "greatest"
    chance = "abs(random()) % 2147483647" if sqlite else "CAST(random() * 2147483646 AS BIGINT)"
    doubt = "sum(rows * (1.0 - coalesce(probability, 0)))"
    target = "coalesce(target_id, proposed_target_id, 0)"
    decided, received = hour.format("decided_at"), hour.format("received_at")
    suggested = """suggested_target_id IS NOT NULL AND previous_status = 'pending'
        AND action IN ('approve', 'correct', 'reject')"""
    for statement in (
        f"""INSERT INTO status_counts SELECT status, {day}, count(*), sum(rows) FROM mappings
        GROUP BY status, {day}""",
        f"""INSERT INTO target_counts SELECT {target}, status, count(*), sum(rows) FROM mappings
        GROUP BY {target}, status""",
        f"""INSERT INTO review_groups SELECT key, count(*), sum(rows), {doubt},
            {doubt} / {largest}(1, sum(rows)), sum(CASE WHEN conflict THEN 1 ELSE 0 END), min(id),
            {chance} FROM mappings WHERE status = 'pending' GROUP BY key""",
        f"""INSERT INTO activity_counts SELECT action, {decided}, actor, count(*) FROM decisions
        GROUP BY action, {decided}, actor""",
        f"""INSERT INTO activity_counts SELECT 'suggested', {decided}, actor, count(*)
        FROM decisions WHERE {suggested} GROUP BY {decided}, actor""",
        f"""INSERT INTO activity_counts SELECT 'taken', {decided}, actor, count(*)
        FROM decisions WHERE {suggested} AND target_id = suggested_target_id
        GROUP BY {decided}, actor""",
        f"""INSERT INTO activity_counts SELECT 'received', {received}, source, count(*)
        FROM submissions GROUP BY {received}, source""",
        f"""INSERT INTO activity_counts SELECT 'set_aside', {hour.format("u.created_at")},
            'upload', count(*) FROM rejected_rows r JOIN uploads u ON u.id = r.upload_id
        GROUP BY {hour.format("u.created_at")}""",
    ):
        op.execute(statement)
