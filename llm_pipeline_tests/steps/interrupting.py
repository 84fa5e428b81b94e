"""Uploads in parts so small that a file of sixty rows has several, and stops in the middle."""

from collections.abc import Callable

import pytest

from llm_pipeline import reading_ahead
from llm_pipeline.domain import pacing
from llm_pipeline.readers import pieces
from llm_pipeline.steps.ingest import Progress
from llm_pipeline.store import spilling


def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and sorted pieces of about ten rows, runs of about twenty, slices of seven."""
    monkeypatch.setattr(pacing, "SLICE_ROWS", 7)
    monkeypatch.setattr(pacing, "SMALLEST_SLICE", 7)
    runs_of(monkeypatch, 20)
    monkeypatch.setattr(reading_ahead, "PIECE_ROWS", 8)
    monkeypatch.setattr(spilling, "BATCH_ROWS", 3)
    monkeypatch.setattr(spilling, "PAGE_ROWS", 10)
    monkeypatch.setattr(pieces, "PIECE", 120)


def runs_of(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(reading_ahead, "FIRST_RUN", rows)
    monkeypatch.setattr(reading_ahead, "LONGEST_RUN", rows)


def stop_after(rows: int) -> Callable[[Progress], None]:
    """Return a listener that interrupts an upload once so many rows are in."""

    def stop(told: Progress) -> None:
        if told.done >= rows:
            raise KeyboardInterrupt

    return stop
