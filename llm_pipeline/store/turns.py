"""Writers of one process take turns before they ask SQLite.

SQLite lets who waits for its lock sleep up to 100 ms and look again, which misses the pauses of an
upload; here the next one is woken. Those of other processes are looked out for by whoever has the
turn (`engine`); PostgreSQL has its own queue.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_LOCKS: dict[str, Lock] = {}


@contextmanager
def turn(address: str, longest: float) -> Iterator[None]:
    """Wait for the other writers of a database, but no longer than so many seconds: after that
    SQLite's own answer is the better one."""
    lock = _LOCKS.setdefault(address, Lock())
    held = lock.acquire(timeout=longest)
    try:
        yield
    finally:
        if held:
            lock.release()
