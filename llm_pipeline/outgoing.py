"""Tables out, chunk by chunk: rows as CSV, JSONL or Parquet. What is in them is for the callers."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llm_pipeline.domain.exported import MAPPING_COLUMNS, TARGET_COLUMNS, seal

Rows = Sequence[Sequence[Any]]

_TIME = pa.timestamp("us", tz="UTC")
_TYPES = {
    "llm_pipeline_id": pa.int64(),
    "probability": pa.float64(),
    "conflict": pa.bool_(),
    "retired": pa.bool_(),
    "rows": pa.int64(),
    "version": pa.int64(),
    "upload": pa.int64(),
    "created_at": _TIME,
    "updated_at": _TIME,
}
MAPPINGS, TARGETS = (
    pa.schema([(name, _TYPES.get(name, pa.string())) for name in names])
    for names in (MAPPING_COLUMNS, TARGET_COLUMNS)
)


class Format(StrEnum):
    """How a table is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSONL: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def encoded(form: Format, schema: pa.Schema, chunks: Iterable[Rows]) -> Iterator[bytes]:
    """Yield a file piece by piece; only CSV cells are sealed, the other formats are exact as is."""
    if form is Format.CSV:
        yield _csv([schema.names])
        for rows in chunks:
            yield _csv([[_cell(value) for value in row] for row in rows])
    elif form is Format.JSONL:
        for rows in chunks:
            yield "".join(_line(schema.names, row) for row in rows).encode()
    else:
        yield from _parquet(schema, chunks)


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return seal(value)
    if isinstance(value, bool):
        return str(value).lower()
    return _plain(value)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _line(names: Sequence[str], row: Sequence[Any]) -> str:
    said = dict(zip(names, row, strict=True))
    return json.dumps(said, ensure_ascii=False, default=_plain) + "\n"


class _Written(io.RawIOBase):
    """What a Parquet writer has written and nobody has taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(self._pieces[-1])

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def _parquet(schema: pa.Schema, chunks: Iterable[Rows]) -> Iterator[bytes]:
    written = _Written()
    with pq.ParquetWriter(pa.PythonFile(written, mode="w"), schema) as writer:
        for rows in chunks:
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            yield written.take()
    yield written.take()
