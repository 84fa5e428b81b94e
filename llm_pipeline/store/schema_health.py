"""The tables of health: how every component stands, how that changed, and posted numbers."""

from sqlalchemy import Column, Float, Index, Table, Text

from llm_pipeline.store.columns import id_column, metadata, time_column

component_states = Table(
    "component_states",
    metadata,
    Column("component", Text, primary_key=True),
    Column("status", Text, nullable=False),  # domain.health.Health
    time_column("since"),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    time_column("seen_at"),
)

component_changes = Table(
    "component_changes",
    metadata,
    id_column(),
    Column("component", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text, nullable=False),
    time_column("at"),
    Index("ix_component_changes_component_id", "component", "id"),
)

# The newest value of each number that was posted, and the limits it should keep; either may be
# missing. All values are in `metrics`.
system_metrics = Table(
    "system_metrics",
    metadata,
    Column("source", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Float),
    time_column("at", nullable=True),
    Column("low", Float),
    Column("high", Float),
    Column("severity", Text),
)
