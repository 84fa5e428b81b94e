import sys
import unicodedata

import pytest

from llm_pipeline.domain.text import group_key, normalize, text_problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SQ *BLUE BOTTLE 0423", "sq blue bottle 0423"),
        ("  sq\t*Blue\nBottle--0423 ", "sq blue bottle 0423"),
        ("Ｓtarbucks ①", "starbucks 1"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Joe's", "joes"),
        ("Joe\u2019s", "joes"),
        ("שלום קפה", "שלום קפה"),
        ("हिन्दी दुकान", "हिन्दी दुकान"),
        ("PIZZA 🍕", "pizza"),
        ("🍕", "🍕"),
        ("!? -- ...", ""),
        ("", ""),
    ],
)
def test_texts_are_compared_by_their_words(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_symbols_differ_whatever_says_how_they_are_drawn() -> None:
    coffee, plane = "\u2615\ufe0f", "\u2708\ufe0f"
    assert normalize(coffee) == normalize("\u2615") != normalize(plane)
    assert normalize("7\ufe0f\u20e3") == "7"


def test_a_normalised_text_stays_as_it_is() -> None:
    characters = (chr(code) for code in range(sys.maxunicode + 1))
    kept = [c for c in characters if unicodedata.category(c)[0] in "LNS"]
    forms = {normalize(character) for character in kept}
    unstable = {form for form in forms if normalize(normalize(form)) != normalize(form)}
    assert not unstable


@pytest.mark.parametrize(
    ("normalized", "key"),
    [("uber trip 4f2k help", "uber trip help"), ("4f2k 99", "4f2k 99"), ("taxi", "taxi"), ("", "")],
)
def test_the_grouping_key_leaves_codes_out(normalized: str, key: str) -> None:
    assert group_key(normalized) == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("caf\udce9", "not valid UTF-8"),
        ("a\x00b", "U+0000"),
        ("a\x1bb", "U+001B"),
        ("...", "no letter, digit or symbol"),
        ("", "no letter, digit or symbol"),
        ("漢" * 900, "over 2600 bytes"),
    ],
)
def test_an_unusable_text_says_what_is_wrong(text: str, problem: str) -> None:
    assert problem in text_problem(text)


@pytest.mark.parametrize("text", ["a\tb\nc", "x" * 2_000, "漢" * 800, "🍕", "שלום"])
def test_a_usable_text_has_no_problem(text: str) -> None:
    assert text_problem(text) == ""
