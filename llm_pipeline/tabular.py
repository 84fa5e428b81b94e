"""Tables in files, a chunk at a time: CSV (`.gz` too) and Parquet in, the same with answers out.

A chunk is an Arrow table, whatever file it comes from; what CSV says is in `files`. Where an output
lies while it grows is the business of `unfinished`.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from llm_pipeline import files
from llm_pipeline.domain.records import Recognition, State
from llm_pipeline.errors import InvalidInput

CSV, CSV_GZ, PARQUET = ".csv", ".csv.gz", ".parquet"
KINDS = (CSV, CSV_GZ, PARQUET)
CHUNK_ROWS = 20_000
# Rows may be of any length: a chunk also ends once it holds this many characters.
CHUNK_SIZE = 16_000_000
_READ_AT_ONCE = 1 << 20
# Level 6 takes twice the time of level 3 for a tenth less.
_GZIP_LEVEL = 3
_WHOLE_GROUP = 100_000
# Python 3.11 quotes a lone carriage return only where it is part of the line end.
_LINE_END = "\r\n"


class Cells(NamedTuple):
    """What is added to a row, by the name of its column; `problem` says why it has no answer."""

    state: str
    target: str | None = None
    probability: float | None = None
    evidence: str | None = None
    candidates: str | None = None
    model_version: str | None = None
    problem: str | None = None


_ADDED = pa.schema(
    [(name, pa.float64() if name == "probability" else pa.string()) for name in Cells._fields]
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that follow one another, and by their place what was wrong with unreadable ones."""

    table: pa.Table
    problems: dict[int, str] = field(default_factory=dict)

    def texts(self, column: str) -> list[str | None]:
        return _as_text(self.table.column(column))


@dataclass(frozen=True, slots=True)
class Source:
    """A file that holds a table. `delimiter` is the one its CSV is written with."""

    path: Path
    schema: pa.Schema
    encoding: str
    delimiter: str = ","

    def chunks(self, after: int = 0) -> Iterator[Chunk]:
        """Yield the rows behind the first `after`; InvalidInput where the file cannot be read."""
        parquet = kind(self.path) == PARQUET
        try:
            yield from self._parquet_chunks(after) if parquet else self._csv_chunks(after)
        except (*files.UNREADABLE, pa.ArrowException) as error:
            raise InvalidInput(f"{self.path.name} cannot be read to its end: {error}") from error

    def rows(self) -> int:
        """Return how many rows there are, for progress: of a CSV file it is the lines."""
        if kind(self.path) == PARQUET:
            return int(pq.read_metadata(self.path).num_rows)
        return max(files.count_lines(self.path) - 1, 0)

    def _csv_chunks(self, after: int) -> Iterator[Chunk]:
        rows = files.read_cells(self.path, after, self.encoding)
        while taken := list(_some(rows)):
            width = len(self.schema)
            kept = [_kept(row, width) if row.problem else row.values for row in taken]
            arrays = [pa.array(column, pa.string()) for column in zip(*kept, strict=True)]
            yield Chunk(
                pa.Table.from_arrays(arrays, schema=self.schema),
                {place: _told(row, width) for place, row in enumerate(taken) if row.problem},
            )

    def _parquet_chunks(self, after: int) -> Iterator[Chunk]:
        with pq.ParquetFile(self.path, buffer_size=_READ_AT_ONCE) as file:
            groups, skipped = list(range(file.num_row_groups)), after
            while groups and skipped >= (rows := file.metadata.row_group(groups[0]).num_rows):
                groups.pop(0)
                skipped -= rows
            if not groups:
                return
            for batch in file.iter_batches(CHUNK_ROWS, row_groups=groups):
                left = batch.slice(min(skipped, batch.num_rows))
                skipped -= batch.num_rows - left.num_rows
                for piece in _pieces(left):
                    yield Chunk(pa.Table.from_batches([piece], self.schema))


def kind(path: Path) -> str:
    """Return which of KINDS a file is by its name, or an empty string."""
    name = path.name.lower()
    return next((ending for ending in KINDS if name.endswith(ending)), "")


def stem(path: Path) -> str:
    """Return the name of a file without the ending that says its kind."""
    return path.name[: len(path.name) - len(kind(path))]


def open_source(path: Path, encoding: str = "utf-8-sig") -> Source:
    """Read what columns a file has; InvalidInput if it is no table, or names a column twice."""
    if kind(path) != PARQUET:
        delimiter, names = files.layout(path, encoding)
        return Source(path, pa.schema([(n, pa.string()) for n in names]), encoding, delimiter)
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidInput(f"{path.name} cannot be read as Parquet: {error}") from error
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise InvalidInput(f"{path.name} names the column {twice[0]!r} twice; rename one of them")
    return Source(path, schema, encoding)


def added_names(taken: Iterable[str]) -> list[str]:
    """Return names for the columns of `Cells` that no column has yet, whatever its case.

    >>> added_names(["text", "Target"])[:3]
    ['state', 'recognized_target', 'probability']
    """
    used, names = {name.casefold() for name in taken}, []
    for plain in Cells._fields:
        tried = chain([plain, f"recognized_{plain}"], (f"recognized_{plain}_{n}" for n in _FROM_2))
        names.append(next(name for name in tried if name not in used))
    return names


def cells(answer: Recognition) -> Cells:
    """Return an answer as cells; probability and evidence are those of the best candidate."""
    found = [
        {
            "target": candidate.target,
            "probability": round(candidate.probability, 6),
            "evidence": candidate.evidence,
        }
        | ({"example": candidate.example} if candidate.example else {})
        for candidate in answer.candidates
    ]
    return Cells(
        answer.state.value,
        answer.target,
        round(answer.probability, 6),
        answer.candidates[0].evidence if answer.candidates else None,
        json.dumps(found, ensure_ascii=False, separators=(",", ":")),
        answer.model_version,
    )


def not_attempted(problem: str) -> Cells:
    return Cells(State.NOT_ATTEMPTED.value, problem=problem)


def answered_schema(source: Source) -> pa.Schema:
    """Return the columns of the output: those of the input, then the added ones."""
    names = added_names(source.schema.names)
    added = [field.with_name(name) for field, name in zip(_ADDED, names, strict=True)]
    return pa.schema([*source.schema, *added], source.schema.metadata)


def head(schema: pa.Schema, ending: str, delimiter: str) -> bytes:
    """Return what an output of this kind begins with."""
    return b"" if ending == PARQUET else _packed(_csv_rows([schema.names], delimiter), ending)


def block(
    table: pa.Table, added: Sequence[Cells], schema: pa.Schema, ending: str, delimiter: str
) -> bytes:
    """Return a chunk with its answers as a piece of an output: rows of CSV, those of `.csv.gz` as a
    gzip member of their own, or a Parquet file."""
    if ending != PARQUET:
        return _packed(_answered_rows(table, added, delimiter), ending)
    columns = zip(*added, strict=True)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, _ADDED, strict=True)]
    whole = pa.Table.from_arrays([*table.columns, *arrays], schema=schema)
    written = io.BytesIO()
    pq.write_table(whole, written)
    return written.getvalue()


def join(parts: Iterable[Path], whole: Path, schema: pa.Schema) -> None:
    """Write Parquet files as one, in row groups of a size that readers like."""
    with pq.ParquetWriter(whole, schema) as writer:
        held: list[pa.Table] = []
        for part in parts:
            held.append(pq.read_table(part, partitioning=None).cast(schema))
            if sum(table.num_rows for table in held) >= _WHOLE_GROUP:
                writer.write_table(pa.concat_tables(held))
                held.clear()
        if held:
            writer.write_table(pa.concat_tables(held))


_FROM_2 = range(2, 1_000_000)


def _some(rows: Iterator[files.Cells]) -> Iterator[files.Cells]:
    """Yield rows up to the end of a chunk."""
    size = 0
    for row in islice(rows, CHUNK_ROWS):
        yield row
        size += sum(map(len, row.values))
        if size >= CHUNK_SIZE:
            return


def _kept(row: files.Cells, width: int) -> list[str | None]:
    """Return what a bad row has for its columns. Bytes that are no text in the file's encoding are
    written as `\\udcff`, so that the output is UTF-8 that every reader takes."""
    values = [_valid(value) for value in row.values[:width]]
    return [*values, *[None] * (width - len(values))]


def _told(row: files.Cells, width: int) -> str:
    """Say what is wrong with a row, where, and what of it has no column to be kept in."""
    beyond = [_valid(value) for value in row.values[width:]]
    kept = f"; cells without a column: {json.dumps(beyond, ensure_ascii=False)}" if beyond else ""
    return f"line {row.line}: {row.problem}{kept}"


def _valid(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    rows = max(1, batch.num_rows * CHUNK_SIZE // max(batch.nbytes, CHUNK_SIZE))
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def _as_text(column: pa.ChunkedArray) -> list[str | None]:
    """Return cells as text; what Arrow cannot write as text is written as JSON."""
    if pa.types.is_string(column.type):
        return list(column.to_pylist())
    try:
        return list(column.cast(pa.string()).to_pylist())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return [v if v is None else json.dumps(v, default=str) for v in column.to_pylist()]


def _answered_rows(table: pa.Table, added: Sequence[Cells], delimiter: str) -> list[str]:
    """Return rows as CSV. What is added is written once for all rows that share it."""
    columns = [["" if v is None else v for v in _as_text(column)] for column in table.columns]
    kept = _csv_rows(zip(*columns, strict=True), delimiter)
    distinct = list(set(added))
    told = dict(zip(distinct, _csv_rows(map(_inert, distinct), delimiter), strict=True))
    end = -len(_LINE_END)
    return [row[:end] + delimiter + told[cells] for row, cells in zip(kept, added, strict=True)]


def _inert(cells: Cells) -> list[str | float]:
    """Return added cells as no spreadsheet takes for a formula."""
    return [
        files.inert(value) if isinstance(value, str) else "" if value is None else value
        for value in cells
    ]


class _Rows(list[str]):
    """A file to `csv.writer`, which writes whole rows."""

    write = list.append


def _csv_rows(rows: Iterable[Sequence[str | float]], delimiter: str) -> list[str]:
    written = _Rows()
    csv.writer(written, delimiter=delimiter, lineterminator=_LINE_END).writerows(rows)
    return written


def _packed(rows: Iterable[str], ending: str) -> bytes:
    plain = "".join(rows).encode()
    return gzip.compress(plain, _GZIP_LEVEL, mtime=0) if ending == CSV_GZ else plain
