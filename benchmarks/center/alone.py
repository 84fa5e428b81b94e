"""A call in a process of its own: its result, its seconds without start-up, its peak memory."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import Generic, ParamSpec, TypeVar

import psutil
from measuring import peak_megabytes, timed

LOOK_SECONDS = 0.02
T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Alone(Generic[T]):
    """What a call gave and cost: the peak is of its whole process."""

    result: T
    seconds: float
    megabytes: float


def alone(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Alone[T]:
    """Run a call in a new interpreter that has imported nothing before."""
    with beside(call, *args, **kwargs) as future:
        return future.result()


@contextmanager
def beside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Iterator[Future[Alone[T]]]:
    """Run a call in a new interpreter while a block does something else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool.submit(_measured, partial(call, *args, **kwargs))


def in_child(call: Callable[[], T]) -> Alone[T]:
    """Run a call that starts a process and waits for it: the peak is that process's."""
    peak = 0.0
    with ThreadPoolExecutor(1) as other:
        began = time.perf_counter()
        future = other.submit(call)
        while not future.done():
            for child in psutil.Process().children():
                peak = max(peak, peak_megabytes(child.pid))
            time.sleep(LOOK_SECONDS)
        return Alone(future.result(), time.perf_counter() - began, peak)


def _measured(call: Callable[[], T]) -> Alone[T]:
    result, seconds = timed(call)
    return Alone(result, seconds, peak_megabytes())
