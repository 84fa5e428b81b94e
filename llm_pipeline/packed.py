"""Files opened for reading, whatever they are wrapped in: gzip and encodings are known by their
first bytes, and there is an end to what is unpacked.
"""

import codecs
import gzip
import io
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from llm_pipeline.errors import InvalidInput

UTF_8 = "utf-8-sig"  # with or without a byte order mark
# Deflate packs up to 1,032 to 1; tables of texts pack 3 to 20 to 1.
MOST_UNPACKED = 200
ALWAYS_ALLOWED = 256 * 2**20
_GZIP = b"\x1f\x8b"
# The marks of UTF-32 begin with those of UTF-16: longest first.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BUFFER = 1 << 20


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def most_unpacked(packed: int) -> int:
    """Return to how many bytes a file of `packed` bytes may unpack."""
    return max(ALWAYS_ALLOWED, packed * MOST_UNPACKED)


def too_large(path: Path) -> InvalidInput:
    """Return the error for a file that unpacks to more than any table does."""
    return InvalidInput(
        f"{path.name} unpacks to over {MOST_UNPACKED} times its size; "
        "if that is right, unpack it and send it in parts"
    )


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacking it if its content is gzip, whatever its name."""
    if not is_gzip(path):
        return path.open("rb", buffering=_BUFFER)
    return cast("BinaryIO", io.BufferedReader(_Unpacked(path), _BUFFER))


def open_text(path: Path, encoding: str) -> TextIO:
    """Open a file as text; a byte order mark counts more than the default encoding.

    Undecodable bytes become surrogates, so that the rows that hold them can be named. Line ends
    stay as they are.
    """
    name = _by_mark(path) if _is_default(encoding) else encoding
    return io.TextIOWrapper(open_bytes(path), name, errors="surrogateescape", newline="")


def is_utf8_by_default(encoding: str, head: bytes) -> bool:
    """Whether nothing but the default says how a file that begins so is encoded."""
    return _is_default(encoding) and not any(head.startswith(mark) for mark, _ in _MARKS)


def _is_default(encoding: str) -> bool:
    return codecs.lookup(encoding).name == UTF_8


def _by_mark(path: Path) -> str:
    with open_bytes(path) as file:
        head = file.read(4)
    return next((name for mark, name in _MARKS if head.startswith(mark)), UTF_8)


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, up to where it is a bomb."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.GzipFile(path, "rb")
        self._left = most_unpacked(path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        # `read` would lose what it has where an archive is damaged.
        data = self._file.read1(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._path)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
