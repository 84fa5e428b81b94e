"""Rows as Dagster table metadata."""

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import TableColumn, TableMetadataValue, TableRecord, TableSchema

_TYPES = {bool: "bool", int: "int", float: "float"}


def table(rows: Sequence[Mapping[str, Any]]) -> TableMetadataValue:
    """Show rows with equal keys as a table; other values than numbers become text."""
    first = rows[0] if rows else {"nothing yet": ""}
    schema = TableSchema([TableColumn(c, _TYPES.get(type(v), "string")) for c, v in first.items()])
    records = [TableRecord({c: _cell(v) for c, v in row.items()}) for row in rows]
    return TableMetadataValue(records, schema)


def counted(name: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """Turn counts into rows of `name` and `number`."""
    return [{name: key, "number": number} for key, number in counts.items()]


def _cell(value: Any) -> str | float | int | bool | None:
    return value if value is None or isinstance(value, str | float | int | bool) else str(value)
