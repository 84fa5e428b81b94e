"""Hand-made merchant texts: a few brands per target, with store and order codes."""

import numpy as np
import pandas as pd
import pytest

from llm_pipeline.domain.text import group_key, normalize
from llm_pipeline.model.recognizer import Recognizer

WORDS = {
    "coffee": ["coffee bar", "coffee house", "roast coffee", "blue coffee", "espresso coffee"],
    "taxi": ["city taxi", "airport taxi", "taxi north", "royal taxi", "taxi and limo"],
    "hotel": ["grand hotel", "hotel plaza", "lake hotel", "hotel central", "park hotel"],
    "books": ["corner books", "books and more", "old books", "campus books", "city books"],
}


def merchants(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Return text, normalized, key, target, rows: one line per text, brands 1 to 5 a target."""
    random = np.random.default_rng(seed)
    lines = []
    for row in range(rows):
        target = list(WORDS)[row % len(WORDS)]
        brand = WORDS[target][(row // len(WORDS)) % 5]
        town = "abcdefghij"[int(random.integers(10))] * 3
        lines.append((f"{brand.upper()} {town} #{row:04d}", target))
    table = pd.DataFrame(lines, columns=["text", "target"], dtype=object)
    table["normalized"] = [normalize(text) for text in table["text"]]
    table["key"] = [group_key(text) for text in table["normalized"]]
    return table.assign(rows=1)


@pytest.fixture(scope="session")
def texts() -> pd.DataFrame:
    return merchants()


@pytest.fixture(scope="session")
def fitted(texts: pd.DataFrame) -> Recognizer:
    """Shared by tests that only read it."""
    return Recognizer().fit(texts["text"], texts["target"], history=texts)
