"""Arrays in one file that nobody trusts: what is read is what was saved, or `ModelUnavailable`.

Arrays are not compressed: half a million texts would take longer to unpack than to read.
"""

import hashlib
import tokenize
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from llm_pipeline.errors import ModelUnavailable

MAX_BYTES = 8 << 30  # of the arrays: a file that claims more is not one of ours

Arrays = Mapping[str, npt.NDArray[Any]]

# What zipfile and NumPy raise for files made to harm: TokenError for headers that are half a
# tuple, MemoryError for shapes of a trillion, RuntimeError for members under a password.
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    OverflowError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
)


def write(path: Path, arrays: Arrays) -> str:
    """Write the arrays; return the checksum that reading them asks for."""
    np.savez(path, allow_pickle=False, **arrays)
    return _digest(path)


def read(path: Path, digest: object) -> Arrays:
    """Read what `write` wrote."""
    try:
        _inspect(path, digest)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except _DAMAGE as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"{path} is missing or damaged ({error}); roll back to another version, or train a new one"
    )


def _inspect(path: Path, digest: object) -> None:
    """Raise ValueError for a file that is not the one saved, or unpacks to something huge."""
    with zipfile.ZipFile(path) as packed:
        members = packed.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_BYTES:
        raise ValueError(f"it unpacks to {unpacked:,} bytes")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed, which no saved model is")
    if _digest(path) != digest:
        raise ValueError("its checksum is not the one saved with it")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
