from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llm_pipeline.model.stream_plots import (
    COLOURS,
    POINTS,
    accuracy_over_time,
    draw_stream,
    reliability_of_parts,
    risk_of_parts,
    stretches,
)

NAMES = ["reliability.png", "risk_coverage.png", "accuracy_over_time.png"]


def answered(rows: int, days: int = 1) -> pd.DataFrame:
    """The first half wrong, the second right; every third text new, every third seen by its key."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "target": ["a"] * rows,
            "predicted": np.where(number < rows // 2, "b", "a"),
            "probability": (number + 0.5) / max(rows, 1),
            "correct": number >= rows // 2,
            "memory": np.array(["exact", "key", "none"], dtype=object)[number % 3],
            "at": pd.to_datetime([start] * rows) + pd.to_timedelta(number * days, unit="D"),
        }
    )


@pytest.mark.parametrize(
    "stream",
    [
        answered(0),
        answered(1),
        answered(7, days=0),
        answered(2_000),
        answered(90).drop(columns="at"),
    ],
    ids=["empty", "one", "one day", "many", "no times"],
)
def test_draws_three_pictures_whatever_there_is(stream: pd.DataFrame, tmp_path: Path) -> None:
    paths = draw_stream(stream, tmp_path / "plots")
    assert [path.name for path in paths] == NAMES
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_a_stretch_of_time_has_the_share_right_of_its_rows() -> None:
    stream = answered(POINTS * 20)
    found = stretches(stream, stream)
    assert len(found) == POINTS
    assert found.tolist() == [0.0] * (POINTS // 2) + [1.0] * (POINTS // 2)
    assert found.index[0] == pd.Timestamp(2026, 1, 10, 12)


def test_stretches_with_too_few_answers_of_a_part_are_left_out() -> None:
    stream = answered(POINTS * 20)
    part = stream[(stream["memory"] == "none") & (stream.index >= 300) | (stream.index < 5)]
    assert len(stretches(stream, stream[stream.index < 5])) == 1
    assert stretches(stream, part[part.index < 5]).tolist() == [0.0]


def test_rows_of_one_day_are_shown_by_their_number() -> None:
    axes = accuracy_over_time(answered(60, days=0)).axes[0]
    assert axes.get_xlabel() == "rows so far"
    assert accuracy_over_time(answered(60)).axes[0].get_xlabel() == "time"


def test_every_part_has_its_line_and_its_number() -> None:
    stream = answered(300)
    told = risk_of_parts(stream).axes[0].get_legend_handles_labels()[1]
    assert [line.split(":")[0] for line in told] == list(COLOURS)
    shown = reliability_of_parts(stream).axes[0].get_legend_handles_labels()[1]
    assert shown[1].startswith("all rows: ECE ")
    assert shown[1].endswith(", 300")
