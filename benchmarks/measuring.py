"""Seconds of a call, and the peak memory of this process."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")


def timed(call: Callable[[], T]) -> tuple[T, float]:
    started = perf_counter()
    result = call()
    return result, perf_counter() - started


def peak_megabytes(process: int | None = None) -> float:
    """Return the peak of a process, by default this one; 0 for one that has ended.

    Not `ru_maxrss`: that counts what started the process too, until it became this program.
    """
    with suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{process or os.getpid()}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
