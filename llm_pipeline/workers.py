"""Worker processes that apply one function to a stream of items; results come in their order.

What the function does is its own business: it is sent to each worker once and may keep state there.
Not `ProcessPoolExecutor`: a worker that is killed while it hands over a result hangs it for ever,
because all its workers share one pipe. Here each has its own, whose end tells that it is gone.
"""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, TypeVar

from llm_pipeline.errors import PipelineError, SetupError

# Items sent ahead for each worker, so that none waits for the reader.
AHEAD = 2
# What a pipe says when the process at its other end has closed it, or is no more.
_GONE = (EOFError, BrokenPipeError, ConnectionResetError)

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered(
    call: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """Yield `call(item)` for each item; only a few are under way at any time.

    One worker is this process itself. A PipelineError of `call` is raised here, and SetupError if
    a worker ends in any other way.
    """
    if workers == 1:
        yield from map(call, items)
        return
    due: deque[Connection] = deque()
    with _started(call, workers) as pipes:
        for item, pipe in zip(items, cycle(pipes), strict=False):
            with _alive():
                pipe.send(item)
            due.append(pipe)
            if len(due) > AHEAD * workers:
                yield _receive(due.popleft())
        while due:
            yield _receive(due.popleft())


def _receive(pipe: Connection) -> Any:
    with _alive():
        result, error = pipe.recv()
    if error is not None:
        raise error
    return result


@contextmanager
def _alive() -> Iterator[None]:
    try:
        yield
    except _GONE as error:
        raise SetupError(
            "a worker process ended before its time: it was killed, or memory ran out "
            "(--workers 1 needs least)"
        ) from error


@contextmanager
def _started(call: Callable[[Item], Result], workers: int) -> Iterator[list[Connection]]:
    """Processes that end with this block, and with this process however it ends; their pipes."""
    # Not forked from here: a library that runs threads can leave its locks taken in the child. The
    # server they are forked from has imported what they need, once for all of them.
    context = get_context("forkserver")
    context.set_forkserver_preload([call.__module__])
    processes, pipes = [], []
    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(call, theirs), daemon=True)
            with theirs, _uninterrupted():
                process.start()
                processes.append(process)
                pipes.append(ours)
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.terminate()
            process.join()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while a worker is started: it keeps that mask, and never sees one."""
    resource_tracker.ensure_running()  # the first process would start it, and it lifts the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(call: Callable[[Item], Result], pipe: Connection) -> None:
    """Answer what comes through the pipe until its other end is closed."""
    items: SimpleQueue[Item] = SimpleQueue()
    # Read by a thread, so that neither side waits for the other to take a large object.
    threading.Thread(target=_take, args=(pipe, items), daemon=True).start()
    with suppress(*_GONE):
        while True:
            pipe.send(_outcome(call, items.get()))


def _outcome(
    call: Callable[[Item], Result], item: Item
) -> tuple[Result | None, PipelineError | None]:
    try:
        return call(item), None
    except PipelineError as error:
        return None, error


def _take(pipe: Connection, items: SimpleQueue[Any]) -> None:
    while True:
        try:
            items.put(pipe.recv())
        except _GONE:
            os._exit(0)  # nobody is there to take another result
