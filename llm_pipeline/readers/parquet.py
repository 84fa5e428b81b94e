"""Parquet as columns of text. A row has no line here: its number stands for it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from llm_pipeline import files
from llm_pipeline.domain.text import storage_problem
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers.blocks import (
    MOST_CHARACTERS,
    MOST_ROWS,
    BadRow,
    Block,
    check_width,
    content,
)
from llm_pipeline.vectors.bytes import Flags, whole

_READ_AT_ONCE = 1 << 20
# What a page may unpack to is told by the file alone; more than this is read by nobody at once.
LARGEST_GROUP = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Parquet:
    """A Parquet file with columns of any type."""

    path: Path
    schema: pa.Schema

    @classmethod
    def open(cls, path: Path) -> "Parquet":
        try:
            schema, metadata = pq.read_schema(path), pq.read_metadata(path)
        except (OSError, pa.ArrowException) as error:
            raise InvalidInput(f"{path.name} cannot be read as Parquet: {error}") from error
        check_width(path, schema.names)
        for number in range(metadata.num_row_groups):
            size = metadata.row_group(number).total_byte_size
            if size > LARGEST_GROUP:
                raise InvalidInput(
                    f"{path.name} has a row group of {size} bytes, {LARGEST_GROUP} are allowed; "
                    "write it with smaller row groups"
                )
        return cls(path, schema)

    @property
    def columns(self) -> Sequence[str]:
        return list(self.schema.names)

    @property
    def columns_are_complete(self) -> bool:
        return True

    def check_text(self, column: str) -> None:
        kind = self.schema.field(column).type
        if pa.types.is_nested(kind):
            raise InvalidInput(
                f"{self.path.name} has {kind} in the column {column!r}, which must hold text; "
                "write one text a row, or name another column"
            )

    def total(self) -> int | None:
        return int(pq.read_metadata(self.path).num_rows)

    def blocks(self) -> Iterator[Block]:
        # A dictionary says long values once, however many rows have them.
        said_once = [f.name for f in self.schema if _is_text(f.type)]
        row = 0
        with pq.ParquetFile(
            self.path, buffer_size=_READ_AT_ONCE, read_dictionary=said_once
        ) as file:
            for batch in file.iter_batches(_rows_at_once(file.metadata)):
                for piece in _pieces(pa.Table.from_batches([batch])):
                    yield _block(piece, row)
                    row += piece.num_rows


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest = max((g.total_byte_size / max(g.num_rows, 1) for g in groups), default=0)
    return int(min(MOST_ROWS, max(1, MOST_CHARACTERS // max(widest, 1))))


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Cut rows so that each piece stays small when its dictionaries are written out."""
    size = sum(_written_out(column) for column in table.columns)
    rows = max(1, table.num_rows * MOST_CHARACTERS // max(size, MOST_CHARACTERS))
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def _written_out(column: pa.ChunkedArray) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    sizes = [
        pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0
        for chunk in column.chunks
    ]
    return sum(sizes)


def _block(table: pa.Table, row: int) -> Block:
    columns, problems = [], np.full(table.num_rows, "", object)
    for column in table.columns:
        cells, damaged = _as_text(column)
        problems[damaged] = storage_problem("\udcff")
        problems[np.asarray(pc.match_substring(cells, "\0"))] = storage_problem("\0")
        long = np.asarray(pc.greater(pc.utf8_length(cells), files.MAX_CELL))
        problems[long] = f"a cell has over {files.MAX_CELL} characters"
        columns.append(cells)
    places = np.arange(table.num_rows, dtype=np.int64)
    is_bad = problems != ""
    bad = [
        BadRow(row + 1 + n, row + 1 + n, problems[n], content([c[n].as_py() for c in columns]))
        for n in np.flatnonzero(is_bad).tolist()
    ]
    read = pa.Table.from_arrays(columns, names=table.column_names)
    good = places[~is_bad] + row + 1
    return Block(read.filter(pa.array(~is_bad)), good, good, bad, row + table.num_rows)


def _as_text(column: pa.ChunkedArray) -> tuple[pa.StringArray, Flags]:
    """Return cells as text, and which of them are no UTF-8."""
    fine = np.zeros(len(column), np.bool_)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not _is_text(kind):
        return _written(column), fine
    raw = column.cast(pa.binary())
    try:
        return whole(raw.cast(pa.string())), fine
    except pa.ArrowInvalid:
        values = [(value or b"").decode("utf-8", "surrogateescape") for value in raw.to_pylist()]
        damaged = np.array([not value.isprintable() and _is_damaged(value) for value in values])
        clean = ["" if bad else value for value, bad in zip(values, damaged, strict=True)]
        return pa.array(clean, pa.string()), damaged


def _is_damaged(value: str) -> bool:
    return storage_problem(value.replace("\0", "")) != ""


def _written(column: pa.ChunkedArray) -> pa.StringArray:
    try:
        return whole(column.cast(pa.string()))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        said = ["" if v is None else json.dumps(v, default=str) for v in column.to_pylist()]
        return pa.array(said, pa.string())
