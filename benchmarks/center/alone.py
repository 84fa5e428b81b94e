"""A call in a process of its own: its result, its seconds without start-up, its peak memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Generic, ParamSpec, TypeVar

from measuring import timed

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Alone(Generic[T]):
    """What a call gave and cost: the peak of its whole process, and what that held before it."""

    result: T
    seconds: float
    megabytes: float
    megabytes_before: float


def alone(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Alone[T]:
    """Run a call in a new interpreter that has imported nothing before."""
    with beside(call, *args, **kwargs) as future:
        return future.result()


@contextmanager
def beside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Iterator[Future[Alone[T]]]:
    """Run a call in a new interpreter while a block does something else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool.submit(_measured, partial(call, *args, **kwargs))


def _measured(call: Callable[[], T]) -> Alone[T]:
    before = _megabytes("VmRSS")
    result, seconds = timed(call)
    return Alone(result, seconds, _megabytes("VmHWM"), before)


def _megabytes(name: str) -> float:
    # ru_maxrss counts what the process was before it became this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {name}; Linux is needed to measure memory")
