"""How a text becomes comparable: its normalised form and its grouping key.

Cleaning rules live here and nowhere else; the standard library only. Nothing is folded to ASCII:
letters, combining marks and digits of every script are kept.
"""

import re
import unicodedata

MAX_TEXT_LENGTH = 2_000
# PostgreSQL cannot index more than 2,704 bytes of a value.
MAX_NORMALIZED_BYTES = 2_600

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ASCII_GAP = re.compile(r"[^a-z0-9]+")
_APOSTROPHES = "'\u2019\u02bc"
_DROP_APOSTROPHES = str.maketrans("", "", _APOSTROPHES)


# Marks that choose how a symbol is drawn: with them, all emoji that carry one were one text.
_ONLY_LOOKS = ("VARIATION SELECTOR", "COMBINING ENCLOSING KEYCAP")


class _WordCharacters(dict[int, str]):
    """A `str.translate` table that keeps letters, marks and digits; fills itself on use."""

    def __missing__(self, codepoint: int) -> str:
        character = chr(codepoint)
        kept = character if unicodedata.category(character)[0] in "LMN" else " "
        if unicodedata.name(character, "").startswith(_ONLY_LOOKS):
            kept = ""
        self[codepoint] = kept
        return kept


_WORD_CHARACTERS = _WordCharacters()


def normalize(text: str) -> str:
    """Return the exact form: case-folded words of letters, marks and digits, one space apart.

    Two texts with the same form are the same text to the memory and to the unique index. A text
    without any letter or digit keeps its symbols (`🍕`), and is empty if it has only punctuation.

    >>> normalize("SQ *Blue Bottle #0423")
    'sq blue bottle 0423'
    >>> normalize("McDonald’s  ÉTOILE")
    'mcdonalds étoile'
    >>> normalize("!?")
    ''
    """
    text = text.translate(_DROP_APOSTROPHES)
    if text.isascii():
        return _ASCII_GAP.sub(" ", text.lower()).strip()
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(folded.translate(_WORD_CHARACTERS).split())
    return words or "".join(c for c in folded if unicodedata.category(c) == "So")


def group_key(normalized: str) -> str:
    """Return the words of a normalised text that hold no digit: store and order codes fall away.

    On the Toronto purchase-card stream 68 % of texts unseen by letters share a key with a known
    one, and its label is right 98.8 % of the time. A text made of codes alone is its own key.

    >>> group_key("amzn mktp ca hj3k92ld0")
    'amzn mktp ca'
    >>> group_key("7 eleven 33")
    'eleven'
    >>> group_key("365 24")
    '365 24'
    """
    words = [word for word in normalized.split() if not any(map(str.isdigit, word))]
    return " ".join(words) or normalized


def storage_problem(text: str) -> str:
    """Return what no database takes of a text, or an empty string."""
    if not text.isascii() and _SURROGATE.search(text):
        return "it is not valid UTF-8; save the file as UTF-8 or name its encoding"
    return "it holds the control character U+0000" if "\0" in text else ""


def text_problem(text: str) -> str:
    """Return what keeps a text from being a submission, or an empty string.

    Its length as written is not judged, only whether its normalised form can be indexed.

    >>> text_problem("...")
    'it has no letter, digit or symbol to recognise'
    """
    if problem := storage_problem(text):
        return problem
    if control := _CONTROL.search(text):
        return f"it holds the control character U+{ord(control[0]):04X}"
    normalized = normalize(text)
    if not normalized:
        return "it has no letter, digit or symbol to recognise"
    if len(normalized.encode()) > MAX_NORMALIZED_BYTES:
        return f"its normalised form is over {MAX_NORMALIZED_BYTES} bytes of UTF-8"
    return ""
