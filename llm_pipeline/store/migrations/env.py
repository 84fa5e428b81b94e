"""Alembic's entry: runs on the connection that `store.engine.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from llm_pipeline.store import (
    schema,
    schema_automation,
    schema_derived,
    schema_health,
    schema_operations,
    schema_review,
)
from llm_pipeline.store.columns import UTCDateTime, metadata


def _without_our_types(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    # A migration must stay readable when `schema.py` has moved on.
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


# Imported so that `metadata` knows every table.
__all__ = [
    "schema",
    "schema_automation",
    "schema_derived",
    "schema_health",
    "schema_operations",
    "schema_review",
]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_without_our_types,
)
with context.begin_transaction():
    context.run_migrations()
