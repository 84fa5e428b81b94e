"""Looks at many components: none waits for another, and none hangs what asks."""

import threading
import time

import pytest

from llm_pipeline.domain.health import Health, Seen
from llm_pipeline.health.looking import Check, Looker

WELL = Seen("Disk", Health.OK, "plenty")


def test_a_look_that_hangs_is_down_and_the_others_are_told() -> None:
    ends, looks = threading.Event(), 0

    def hang() -> list[Seen]:
        nonlocal looks
        looks += 1
        ends.wait()
        return [Seen("MLflow", Health.OK, "at last")]

    looker = Looker([Check("MLflow", hang), Check("Disk", lambda: [WELL])], patience=0.1)
    began = time.monotonic()
    first, second = looker.look(), looker.look()
    took = time.monotonic() - began
    ends.set()
    while (third := looker.look()) == second:
        time.sleep(0.01)

    assert first == [Seen("MLflow", Health.DOWN, "", "has not answered for 0 s"), WELL]
    assert first == second
    assert looks == 1, "it is not asked again while it hangs"
    assert took < 1
    assert third[0].detail == "at last"


def test_a_look_that_fails_is_down_and_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args.exc_type))

    def fail() -> list[Seen]:
        raise ZeroDivisionError

    looker = Looker([Check("Model", fail), Check("Disk", lambda: [WELL])])
    for _ in range(2):
        assert looker.look() == [
            Seen("Model", Health.DOWN, "", "the look at it failed; the log says why"),
            WELL,
        ]
    while len(told) < 2:
        time.sleep(0.01)
    assert told == [ZeroDivisionError] * 2
