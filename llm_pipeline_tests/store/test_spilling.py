"""Rows sorted through files: the same as sorted in memory."""

import random
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from llm_pipeline.store import spilling
from llm_pipeline.store.spilling import Spilled

TEXTS = ("a", "aa", "b", "\ue000", "\U0001f600")


def _table(texts: list[str], first: int) -> pa.Table:
    rows = pa.array(range(first, first + len(texts)), pa.int64())
    return pa.table({"normalized": pa.array(texts, pa.string()), "row": rows})


def _spilled(folder: Path, pieces: list[list[str]]) -> tuple[Spilled, list[tuple[str, int]]]:
    rows: list[tuple[str, int]] = []
    spilled = Spilled(folder)
    for texts in pieces:
        spilled.add(_table(texts, len(rows)))
        rows += [(said, len(rows) + place) for place, said in enumerate(texts)]
    return spilled, rows


def _read(spilled: Spilled) -> list[list[tuple[str, int]]]:
    return [
        list(zip(page["normalized"].to_pylist(), page["row"].to_pylist(), strict=True))
        for page in spilled.pages()
    ]


@pytest.mark.parametrize("seed", range(40))
def test_pages_hold_all_rows_by_their_text_and_then_as_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    drawn = random.Random(seed)  # noqa: S311
    monkeypatch.setattr(spilling, "BATCH_ROWS", drawn.randint(1, 9))
    monkeypatch.setattr(spilling, "PAGE_ROWS", drawn.randint(1, 50))
    sizes = [drawn.choice((0, 1, 5, 40)) for _ in range(drawn.randint(0, 6))]
    # The more texts of one kind, the more of its batches it fills.
    weights = (drawn.choice((1, 20)), 1, 1, 1, 1)
    pieces = [drawn.choices(TEXTS, weights, k=size) for size in sizes]
    spilled, rows = _spilled(tmp_path, pieces)
    pages = _read(spilled)
    spilled.close()
    assert [row for one in pages for row in one] == sorted(rows)
    assert all(pages)


def test_a_page_has_about_as_many_rows_as_wished(tmp_path: Path) -> None:
    pieces = [[f"{n % 997:05d}" for n in range(start, 200_000, 4)] for start in range(4)]
    spilled, rows = _spilled(tmp_path / "new", pieces)
    pages = _read(spilled)
    assert [row for one in pages for row in one] == sorted(rows)
    assert all(
        spilling.PAGE_ROWS <= len(one) < spilling.PAGE_ROWS + 4 * spilling.BATCH_ROWS
        for one in pages[:-1]
    )
    # Files that have no name leave nothing behind, however the process ends.
    assert not list((tmp_path / "new").iterdir())
    spilled.close()


def test_long_rows_are_read_in_smaller_batches(tmp_path: Path) -> None:
    spilled, rows = _spilled(tmp_path, [[f"{n:04d}" + "x" * 20_000 for n in range(900)]] * 2)
    pages = _read(spilled)
    spilled.close()
    assert [row for one in pages for row in one] == sorted(rows)
    longest = max(sum(len(said) for said, _ in one) for one in pages)
    assert longest < spilling.PAGE_BYTES + 4 * spilling.BATCH_BYTES


def test_long_rows_side_by_side_are_read_in_smaller_batches(tmp_path: Path) -> None:
    # A hundred long ones in each piece, all of one text, among many short ones.
    piece = [f"{n:05d}" for n in range(9_000)] + ["09000" + "x" * 50_000] * 100
    spilled, rows = _spilled(tmp_path, [piece] * 3)
    pages = _read(spilled)
    spilled.close()
    assert [row for one in pages for row in one] == sorted(rows)
    longest = max(sum(len(said) for said, _ in one) for one in pages)
    assert longest < spilling.PAGE_BYTES + 3 * spilling.BATCH_BYTES


def test_a_page_ends_where_a_text_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilling, "BATCH_ROWS", 4)
    monkeypatch.setattr(spilling, "PAGE_ROWS", 10)
    spilled, rows = _spilled(tmp_path, [[f"{n:02d}" for n in range(30) for _ in range(3)]] * 2)
    pages = _read(spilled)
    spilled.close()
    assert [row for one in pages for row in one] == sorted(rows)
    ends = [(one[-1][0], other[0][0]) for one, other in pairwise(pages)]
    assert len(pages) > 5
    assert all(end != start for end, start in ends)
