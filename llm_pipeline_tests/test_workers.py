import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from llm_pipeline import workers
from llm_pipeline.errors import InvalidInput, SetupError


def _square(number: int) -> tuple[int, int]:
    return number * number, os.getpid()


def _fail(number: int) -> int:
    raise InvalidInput(f"{number} is no good")


def _die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_order_from_other_processes() -> None:
    squares, processes = zip(*workers.ordered(_square, range(50), 2), strict=True)
    assert squares == tuple(n * n for n in range(50))
    assert os.getpid() not in processes


def test_one_worker_is_this_process() -> None:
    assert list(workers.ordered(_square, [3], 1)) == [(9, os.getpid())]


def test_an_error_of_a_worker_is_raised_here() -> None:
    with pytest.raises(InvalidInput, match="1 is no good"):
        list(workers.ordered(_fail, [1], 2))


def test_a_killed_worker_is_told() -> None:
    with pytest.raises(SetupError, match="ended before its time"):
        list(workers.ordered(_die, range(9), 2))


def _large(number: int) -> bytes:
    return bytes(5_000_000 + number)


def test_large_items_and_results_pass_each_other() -> None:
    items = [bytes(3_000_000)] * 12
    assert list(workers.ordered(len, items, 2)) == [3_000_000] * 12
    assert sum(map(len, workers.ordered(_large, range(12), 2))) == 60_000_066


def test_a_worker_killed_while_it_hands_over_a_large_result_is_told() -> None:
    with closing(workers.ordered(_large, range(12), 2)) as results:
        next(results)
        time.sleep(0.5)  # the others are made by now, and wait in the pipes
        for process in multiprocessing.active_children():
            process.kill()
        with pytest.raises(SetupError, match="ended before its time"):
            list(results)


def test_little_is_read_ahead_and_workers_end_with_who_wanted_them() -> None:
    taken: list[int] = []
    numbers = map(_noting(taken), range(1_000))
    with closing(workers.ordered(_square, numbers, 2)) as squares:
        _, process = next(squares)
        assert len(taken) <= 2 * workers.AHEAD + 1
    psutil.wait_procs(_processes(process), timeout=10)
    assert not _processes(process)


def _processes(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid)] if Path(f"/proc/{pid}").exists() else []


def _noting(taken: list[int]) -> Callable[[int], int]:
    def note(number: int) -> int:
        taken.append(number)
        return number

    return note
