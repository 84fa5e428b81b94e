"""Words in memory: parts, typos, growth."""

from itertools import islice
from random import Random

import pytest
from rapidfuzz.distance import OSA

from llm_pipeline.store import vocabulary
from llm_pipeline.store.vocabulary import Known, Vocabulary

WORDS = ["bottle", "blue", "café", "étoile", "0423", "42", "hj3k92", "टी", "🍕", "battle"]


def made(words: list[str], at_once: int) -> Vocabulary:
    vocabulary = Vocabulary()
    for start in range(0, len(words), at_once):
        vocabulary = vocabulary.with_words(words[start : start + at_once], start)
    return vocabulary


@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("ottl", {"bottle"}),
        ("b", {"bottle", "blue", "battle"}),
        ("é", {"café", "étoile"}),
        ("42", {"0423", "42"}),
        ("3k9", {"hj3k92"}),
        ("k", {"hj3k92"}),
        ("ी", {"टी"}),
        ("🍕", {"🍕"}),
        ("q", set()),
    ],
)
def test_words_are_found_by_any_part(at_once: int, part: str, found: set[str]) -> None:
    assert set(made(WORDS, at_once).containing(part)) == found


@pytest.mark.parametrize("piece", [100, 1 << 17])
@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_the_same_words_are_found_as_by_looking_at_each(
    monkeypatch: pytest.MonkeyPatch, at_once: int, piece: int
) -> None:
    monkeypatch.setattr(vocabulary, "_PIECE", piece)
    dice = Random(5)  # noqa: S311
    words = sorted(
        {"".join(dice.choices("abyz0189éटी٣-", k=dice.randint(1, 14))) for _ in range(400)}
    )
    every = made(words, at_once)
    parts = {
        word[start : start + size] for word in words for start in (0, 3) for size in (1, 2, 3, 9)
    }
    for part in parts - {""}:
        found = list(every.containing(part))
        assert sorted(found) == [word for word in words if part in word]


def test_words_are_gathered_as_they_are_asked_for() -> None:
    assert list(islice(made(WORDS, 3).containing("b"), 2)) == ["bottle", "blue"]


@pytest.mark.parametrize(
    ("typo", "near"),
    [
        ("bottel", ["bottle"]),  # two neighbours swapped are one edit
        ("botle", ["bottle"]),
        ("bxttle", ["bottle", "battle"]),
        ("cafe", ["café"]),
        ("0432", ["0423"]),
        ("bttle", ["bottle", "battle"]),
        ("bq", []),
        ("zzzzzz", []),
        ("bottle", ["battle"]),  # never the word itself
    ],
)
def test_the_nearest_words_are_found(typo: str, near: list[str]) -> None:
    assert made(WORDS, 4).nearest(typo, 10) == near


def test_the_nearest_words_are_those_of_a_scan() -> None:
    dice = Random(3)  # noqa: S311
    words = sorted({"".join(dice.choices("abcde", k=dice.randint(3, 8))) for _ in range(2_000)})
    vocabulary = made(words, 300)
    for typo in ("".join(dice.choices("abcdef", k=dice.randint(3, 8))) for _ in range(100)):
        most = 1 if len(typo) <= 5 else 2
        others = {word: OSA.distance(typo, word) for word in words if word != typo}
        best = min(others.values())
        expected = {w for w, distance in others.items() if distance == best <= most}
        assert set(vocabulary.nearest(typo, 1_000)) == expected


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_it_is_known_which_words_are_lacking(at_once: int) -> None:
    known = Known()
    for start in range(0, len(WORDS), at_once):
        known = known.with_words(WORDS[start : start + at_once], start)
    assert known.missing(["blue", "red", "42", "43"]) == ["red", "43"]
    assert known.missing(WORDS) == []


def test_nothing_is_known_of_no_words() -> None:
    assert Known().missing(["blue"]) == ["blue"]
    assert Known().with_words([], 1).missing(["blue"]) == ["blue"]


def test_growing_leaves_few_blocks_and_the_old_vocabulary_as_it_was() -> None:
    old = made([f"w{n}" for n in range(500)], 7)
    new = old.with_words(["another"], 600)
    assert (len(old), len(new), new.last_id) == (500, 501, 600)
    assert len(new.blocks) < 10
    assert list(old.containing("another")) == []
