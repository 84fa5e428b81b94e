import threading
import time

from llm_pipeline.store.turns import turn


def test_a_writer_waits_for_the_one_before_and_is_woken() -> None:
    order: list[str] = []

    def write() -> None:
        with turn("sqlite:///a", 9):
            order.append("second")

    with turn("sqlite:///a", 9):
        waiting = threading.Thread(target=write)
        waiting.start()
        time.sleep(0.05)
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_nobody_waits_for_another_database_or_for_ever() -> None:
    began = time.monotonic()
    with turn("sqlite:///a", 9), turn("sqlite:///b", 9), turn("sqlite:///a", 0.05):
        waited = time.monotonic() - began
    assert 0.05 <= waited < 5
    with turn("sqlite:///a", 9):
        assert time.monotonic() - began < 5
