"""What the pictures of an answered stream show, as numbers for pages: a few points a curve."""

from typing import Any

import numpy as np
import pandas as pd

from llm_pipeline.model.plots import reliability, risks
from llm_pipeline.model.stream_plots import parts, stretches

COVERAGE_POINTS = 25


def curves(stream: pd.DataFrame) -> dict[str, Any]:
    """Return, for each part of the stream: `reliability` as pairs of mean probability and share
    right, `coverage` as pairs of share answered and share right, the surest answers first, and
    `over_time` as pairs of a stretch's middle and share right. Shares are in 0..1."""
    return {name: _of(stream, part) for name, part in parts(stream).items()}


def _of(stream: pd.DataFrame, part: pd.DataFrame) -> dict[str, Any]:
    said, right, _ = reliability(part)
    covered, risk = risks(part)
    shown = np.unique(np.linspace(0, len(risk) - 1, COVERAGE_POINTS).astype(int))
    over_time = stretches(stream, part)
    return {
        "reliability": _pairs(said, right),
        "coverage": _pairs(covered[shown], 1 - risk[shown]),
        "over_time": [
            [
                str(pd.Timestamp(at).date()) if isinstance(at, np.datetime64) else str(at),
                float(share),
            ]
            for at, share in zip(over_time.index.to_numpy(), over_time, strict=True)
        ],
    }


def _pairs(across: Any, up: Any) -> list[list[float]]:
    return [[float(x), float(y)] for x, y in zip(across, up, strict=True)]
