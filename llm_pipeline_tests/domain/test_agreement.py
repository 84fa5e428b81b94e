"""Agreement of two reviewers."""

import pytest

from llm_pipeline.domain.agreement import is_drawn, kappa


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_about_the_share_that_was_asked_for_is_drawn(share: float) -> None:
    drawn = sum(is_drawn(f"shop {n}", n, share) for n in range(5_000)) / 5_000
    assert drawn == pytest.approx(share, abs=0.03)


def test_whether_a_group_is_drawn_does_not_change() -> None:
    assert len({is_drawn("shop", 7, 0.5) for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({}, None),
        ({("a", "a"): 9}, None),
        ({("a", "a"): 5, ("b", "b"): 5}, 1.0),
        ({("a", "b"): 5, ("b", "a"): 5}, -1.0),
        ({("a", "a"): 25, ("a", "b"): 25, ("b", "a"): 25, ("b", "b"): 25}, 0.0),
    ],
)
def test_kappa_is_agreement_beyond_chance(
    pairs: dict[tuple[str, str], int], expected: float | None
) -> None:
    assert kappa(pairs) == expected
