"""Which kind of file it is, told by its content, and the reader for it."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from llm_pipeline import files, packed
from llm_pipeline.errors import InvalidInput
from llm_pipeline.readers import workbook
from llm_pipeline.readers.blocks import Block, Reader
from llm_pipeline.readers.delimited import Delimited
from llm_pipeline.readers.json_lines import JsonLines
from llm_pipeline.readers.parquet import Parquet
from llm_pipeline.readers.workbook import Workbook

KINDS = "CSV, JSONL (both also as .gz), Parquet or XLSX"
_HEAD = 4096
_PARQUET, _ZIP = b"PAR1", b"PK\x03\x04"
_OTHERS = {
    b"\xd0\xcf\x11\xe0": "an old or a protected Office file",
    b"%PDF": "a PDF",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"SQLite format 3": "an SQLite database",
}
_JSON_NAMES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


def open_reader(path: Path, encoding: str = packed.UTF_8) -> Reader:
    """Open a file of rows; InvalidInput says what it is if it is none."""
    _check_encoding(encoding)
    head = _head(path)
    if not head:
        raise InvalidInput(f"{path.name} is empty: its first line must name the columns")
    if head.startswith(_PARQUET):
        _refuse_packed(path, "a Parquet file")
        return Parquet.open(path)
    if head.startswith(_ZIP):
        return _open_zip(path)
    for magic, kind in _OTHERS.items():
        if head.startswith(magic):
            raise InvalidInput(f"{path.name} is {kind}; save it as {KINDS}")
    return _open_text(path, encoding, head)


def _check_encoding(name: str) -> None:
    try:
        io.TextIOWrapper(io.BytesIO(), name)
    except (LookupError, ValueError) as error:
        raise InvalidInput(f"{name!r} is no encoding; try utf-8, utf-16 or cp1252") from error


def read_blocks(reader: Reader, path: Path) -> Iterator[Block]:
    """Yield all rows; InvalidInput where a file cannot be read to its end."""
    try:
        yield from reader.blocks()
    except (*files.UNREADABLE, *workbook.UNREADABLE, pa.ArrowException) as error:
        raise InvalidInput(f"{path.name} cannot be read to its end: {error}") from error


def _head(path: Path) -> bytes:
    try:
        with packed.open_bytes(path) as file:
            return file.read(_HEAD)
    except FileNotFoundError as error:
        raise InvalidInput(f"{path.name} cannot be opened: {error.strerror}") from error
    except files.UNREADABLE as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}") from error


def _open_text(path: Path, encoding: str, head: bytes) -> Reader:
    if _is_json_lines(path, head):
        return JsonLines.open(path, encoding)
    if packed.is_utf8_by_default(encoding, head) and b"\0" in head.split(b"\n")[0]:
        raise InvalidInput(
            f"{path.name} is not text in UTF-8; save it as {KINDS}, or name its encoding"
        )
    return Delimited.open(path, encoding)


def _is_json_lines(path: Path, head: bytes) -> bool:
    if path.name.lower().endswith(_JSON_NAMES):
        return True
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n")[0].strip()
    if first.startswith(b"[") and path.suffix.lower() == ".json":
        raise InvalidInput(f"{path.name} is a JSON list; write one object a line (.jsonl)")
    try:
        return first.startswith(b"{") and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _open_zip(path: Path) -> Reader:
    _refuse_packed(path, "a ZIP file")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise InvalidInput(f"{path.name} cannot be read as ZIP or XLSX: {error}") from error
    if "xl/workbook.xml" not in names:
        raise InvalidInput(f"{path.name} is a ZIP file; unpack it and send {KINDS}")
    return Workbook.open(path)


def _refuse_packed(path: Path, kind: str) -> None:
    if packed.is_gzip(path):
        raise InvalidInput(f"{path.name} is {kind} inside gzip; unpack it first")
